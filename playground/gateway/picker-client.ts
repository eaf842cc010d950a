import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { type ExtProcAnswer, decodeAnswer } from "./ext-proc-messages.ts";
import type { Target } from "./upstream.ts";

const METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/** Sent as TLS server name: addresses may not be (RFC 6066 §3), and no certificate is checked against it. */
const SERVER_NAME = "endpoint-picker";

/** Connections kept at once; the one that was used least recently goes first. */
const MAX_CLIENTS = 64;

/** One exchange with an endpoint picker. */
export interface PickerStream {
  /** Sends a message, and resolves when there is room for the next one. */
  send(message: Buffer): Promise<void>;
  /** Nothing more will be sent. */
  end(): void;
  /** Gives the exchange up. */
  cancel(): void;
  /** The answers in order. Throws when the picker fails; ends when it closes the stream. */
  answers(): AsyncGenerator<ExtProcAnswer, void, undefined>;
}

/** Connections to endpoint pickers. */
export interface PickerClients {
  open(target: Target): PickerStream;
  close(): void;
}

/** Creates the connections; certificates of pickers are not checked, as they are self-signed by convention. */
export function createPickerClients(): PickerClients {
  const clients = new Map<string, Client>();
  const clientFor = ({ host, port, secure }: Target): Client => {
    const key = `${host}:${port}:${secure}`;
    const client = clients.get(key) ?? connect(`${host}:${port}`, secure);
    clients.delete(key);
    clients.set(key, client);
    for (const [oldest, old] of clients) {
      if (clients.size <= MAX_CLIENTS) break;
      clients.delete(oldest);
      old.close();
    }
    return client;
  };
  return {
    open: (target) => openStream(clientFor(target)),
    close: () => {
      for (const client of clients.values()) client.close();
      clients.clear();
    },
  };
}

function connect(address: string, secure: boolean): Client {
  const channel = secure
    ? credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })
    : credentials.createInsecure();
  return new Client(address, channel, {
    "grpc.max_receive_message_length": -1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.ssl_target_name_override": SERVER_NAME,
  });
}

function openStream(client: Client): PickerStream {
  const identity = (value: Buffer): Buffer => value;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(METHOD, identity, identity);
  call.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => call.once("close", resolve).once("error", () => resolve()));
  return {
    send: async (message) => {
      if (call.destroyed || call.writableEnded || call.write(message)) return;
      await Promise.race([new Promise<void>((resolve) => call.once("drain", resolve)), closed]);
    },
    end: () => void (call.writableEnded || call.end()),
    cancel: () => call.cancel(),
    answers: async function* () {
      for await (const message of call) {
        const answer = decodeAnswer(message as Buffer);
        if (answer !== undefined) yield answer;
      }
    },
  };
}
