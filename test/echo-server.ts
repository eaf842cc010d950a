import { startGrpcServer } from "../scheduler/server/grpc-server.ts";
import {
  type Call,
  GRPC_STATUS,
  type GrpcServer,
  type Method,
  type ServerSettings,
} from "../scheduler/server/transport.ts";
import { framed } from "./h2-frames.ts";

/** Calls that are open, and how those that ended did. */
export interface Journal {
  open: number;
  readonly ends: string[];
}

/** Sends every message back; `bye` ends the call at once. */
function echo(journal: Journal): Method {
  return (call: Call) => {
    journal.open++;
    const over = (how: string): void => {
      journal.open--;
      journal.ends.push(how);
    };
    return {
      onMessage: (message) => {
        call.send(framed(message));
        if (message.toString() !== "bye") return;
        call.end(GRPC_STATUS.notFound, "gone – für immer");
        over("bye");
      },
      onHalfClose: () => {
        call.end(GRPC_STATUS.ok);
        over("half-close");
      },
      onCancel: () => over("cancel"),
    };
  };
}

/** A server whose method `/test.Echo/Call` sends back what it gets. */
export interface EchoServer {
  readonly server: GrpcServer;
  readonly journal: Journal;
  readonly address: string;
}

/** Starts such a server; `closers` take what ends it. */
export async function startEcho(closers: (() => unknown)[], extra: Partial<ServerSettings> = {}): Promise<EchoServer> {
  const journal: Journal = { open: 0, ends: [] };
  const methods = new Map([["/test.Echo/Call", echo(journal)]]);
  const limits = { maxMessageBytes: 4_000_000, maxHeldBytes: 256 * 1024 * 1024 };
  const server = await startGrpcServer({ host: "127.0.0.1", port: 0, methods, ...limits, ...extra });
  closers.push(() => server.close(0));
  return { server, journal, address: `127.0.0.1:${server.port}` };
}
