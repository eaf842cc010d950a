import type { IncomingMessage, ServerResponse } from "node:http";
import { endToEnd, type RawHeaders, withHeaders } from "./headers.ts";

/** Changes the bytes of an answer on their way. */
export interface BodyEditor {
  /** Takes what came, and returns what can go on. */
  push(chunk: Buffer): Buffer;
  /** What is left at the end. */
  end(): Buffer;
}

/** What is changed of an answer. */
export interface RelayOptions {
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** What goes before the rest of the body, because it was read already. */
  readonly begun?: readonly Buffer[];
  readonly editor?: BodyEditor | undefined;
}

/**
 * Hands an answer on as it comes, no faster than the client reads. Resolves at its end; rejects where the answer breaks off, and
 * the client's connection is then cut too, or where the client goes.
 */
export function relay(answer: IncomingMessage, response: ServerResponse, options: RelayOptions = {}): Promise<void> {
  const { editor } = options;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      response.destroy();
      reject(error);
    };
    if (response.destroyed) return fail(new Error("the client closed the connection"));
    answer.once("error", fail);
    response.once("error", fail);
    response.once("close", () => {
      if (!response.writableFinished) fail(new Error("the client closed the connection"));
      answer.destroy();
    });
    writeHead(response, answer, options.headers ?? {});
    let hasBegun = false;
    const write = (chunk: Buffer): void => {
      if (chunk.length === 0) return;
      hasBegun = true;
      if (!response.write(chunk)) answer.pause();
    };
    for (const chunk of options.begun ?? []) write(editor === undefined ? chunk : editor.push(chunk));
    // Clients of streams look at the headers long before the first token; most answers bring a body along with them.
    setImmediate(() => {
      if (!hasBegun && !response.writableEnded && !response.destroyed) response.flushHeaders();
    });
    answer.on("data", editor === undefined ? write : (chunk: Buffer) => write(editor.push(chunk)));
    response.on("drain", () => answer.resume());
    const finish = (): void => {
      if (editor !== undefined) write(editor.end());
      response.addTrailers(pairs(answer.rawTrailers));
      response.end(() => resolve());
    };
    if (answer.readableEnded) return finish();
    answer.once("end", finish);
    answer.resume();
  });
}

function writeHead(
  response: ServerResponse,
  answer: IncomingMessage,
  changes: Readonly<Record<string, string | undefined>>,
): void {
  const headers = endToEnd(answer.rawHeaders);
  const changed = Object.keys(changes).length === 0 ? headers : withHeaders(headers, changes);
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? "", changed);
}

function pairs(raw: RawHeaders): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[2 * index]!, raw[2 * index + 1]!]);
}
