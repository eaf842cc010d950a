import { Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import protobuf from "protobufjs";

/** The messages of ext_proc and gRPC health that tests exchange, by the field numbers of Envoy's API. */
const PROTO = `
syntax = "proto3";
message Value {
  oneof kind { int32 null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4;
    Struct struct_value = 5; ListValue list_value = 6; }
}
message Struct { map<string, Value> fields = 1; }
message ListValue { repeated Value values = 1; }
message Metadata { map<string, Struct> filter_metadata = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message HeaderMap { repeated HeaderValue headers = 1; }
message HttpHeaders { HeaderMap headers = 1; bool end_of_stream = 3; }
message HttpBody { bytes body = 1; bool end_of_stream = 2; }
message HttpTrailers { HeaderMap trailers = 1; }
message ProtocolConfiguration { int32 request_body_mode = 1; int32 response_body_mode = 2; }
message ProcessingRequest {
  oneof request { HttpHeaders request_headers = 2; HttpHeaders response_headers = 3; HttpBody request_body = 4;
    HttpBody response_body = 5; HttpTrailers request_trailers = 6; HttpTrailers response_trailers = 7; }
  Metadata metadata_context = 8;
  map<string, Struct> attributes = 9;
  bool observability_mode = 10;
  ProtocolConfiguration protocol_config = 11;
}
message HeaderValueOption { HeaderValue header = 1; }
message HeaderMutation { repeated HeaderValueOption set_headers = 1; repeated string remove_headers = 2; }
message StreamedBodyResponse { bytes body = 1; bool end_of_stream = 2; }
message BodyMutation { oneof mutation { bytes body = 1; bool clear_body = 2; StreamedBodyResponse streamed_response = 3; } }
message CommonResponse { int32 status = 1; HeaderMutation header_mutation = 2; BodyMutation body_mutation = 3;
  bool clear_route_cache = 5; }
message HeadersResponse { CommonResponse response = 1; }
message TrailersResponse { HeaderMutation header_mutation = 1; }
message HttpStatus { int32 code = 1; }
message ImmediateResponse { HttpStatus status = 1; HeaderMutation headers = 2; bytes body = 3; }
message ProcessingResponse {
  oneof response { HeadersResponse request_headers = 1; HeadersResponse response_headers = 2;
    HeadersResponse request_body = 3; HeadersResponse response_body = 4; TrailersResponse request_trailers = 5;
    TrailersResponse response_trailers = 6; ImmediateResponse immediate_response = 7; }
  Struct dynamic_metadata = 8;
}
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse { int32 status = 1; }
`;

const root = protobuf.parse(PROTO, { keepCase: true }).root;

/** A message as plain JSON-like data. */
export type Message = Readonly<Record<string, unknown>>;

/** Encodes a message of the given type. */
export function encodeMessage(type: string, value: Message): Buffer {
  const Type = root.lookupType(type);
  return Buffer.from(Type.encode(Type.fromObject(value)).finish());
}

/** Decodes a message of the given type; bytes become Buffers, absent members stay absent. */
export function decodeMessage(type: string, bytes: Uint8Array): Message {
  const Type = root.lookupType(type);
  return Type.toObject(Type.decode(bytes), { longs: Number, bytes: Buffer, oneofs: false });
}

/** A header map of ext_proc. */
export function headerMap(headers: Readonly<Record<string, string>>): Message {
  return { headers: Object.entries(headers).map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) };
}

/** The member of a nested message at a dotted path. */
export function at(message: unknown, path: string): unknown {
  let value: unknown = message;
  for (const key of path.split("."))
    value = typeof value === "object" && value !== null ? (value as Message)[key] : undefined;
  return value;
}

/** Headers that an answer sets, by name. */
export function setHeaders(message: unknown, path: string): Record<string, string> {
  const set = at(message, `${path}.set_headers`);
  const pairs = (Array.isArray(set) ? set : []).map((option: unknown) => [
    String(at(option, "header.key")),
    String(at(option, "header.raw_value")),
  ]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

/** One open stream to an external processor. */
export interface ExtProcStream {
  send(request: Message): void;
  halfClose(): void;
  cancel(): void;
  /** The next answer; rejects at the stream's end. */
  next(): Promise<Message>;
  /** The gRPC status code that ended the stream. */
  readonly status: Promise<number>;
}

/** A client of external processor and health service. */
export interface ExtProcClient {
  open(): ExtProcStream;
  health(service: string): Promise<number>;
  close(): void;
}

/** Connects to `address` (`ip:port`), in plain text or with TLS that trusts `ca` (PEM) for `localhost`. */
export function createExtProcClient(address: string, ca?: string): ExtProcClient {
  const options = { "grpc.enable_channelz": 0, "grpc.ssl_target_name_override": "localhost" };
  const client = new Client(
    address,
    ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca)),
    options,
  );
  return {
    open: () =>
      wrap(
        client.makeBidiStreamRequest(
          "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
          (value: Message) => encodeMessage("ProcessingRequest", value),
          (bytes: Buffer) => decodeMessage("ProcessingResponse", bytes),
        ),
      ),
    health: (service) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          "/grpc.health.v1.Health/Check",
          (value: Message) => encodeMessage("HealthCheckRequest", value),
          (bytes: Buffer) => decodeMessage("HealthCheckResponse", bytes),
          { service },
          (error: ServiceError | null, value?: Message) =>
            error === null ? resolve(Number(value?.status)) : reject(error),
        );
      }),
    close: () => client.close(),
  };
}

function wrap(stream: ClientDuplexStream<Message, Message>): ExtProcStream {
  const queue: Message[] = [];
  const waiting: { resolve: (message: Message) => void; reject: (error: Error) => void }[] = [];
  let ended: Error | undefined;
  stream.on("data", (message: Message) => {
    const next = waiting.shift();
    if (next === undefined) queue.push(message);
    else next.resolve(message);
  });
  const finish = (error: Error): void => {
    ended ??= error;
    for (const next of waiting.splice(0)) next.reject(error);
  };
  stream.on("error", finish).on("end", () => finish(new Error("the stream ended")));
  return {
    send: (request) => void stream.write(request),
    halfClose: () => stream.end(),
    cancel: () => stream.cancel(),
    next: () => {
      const message = queue.shift();
      if (message !== undefined) return Promise.resolve(message);
      return ended === undefined
        ? new Promise((resolve, reject) => void waiting.push({ resolve, reject }))
        : Promise.reject(ended);
    },
    status: new Promise((resolve) => void stream.on("status", ({ code }) => resolve(code))),
  };
}
