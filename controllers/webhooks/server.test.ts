import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createSelfSigned } from "../../kube/x509.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { defaultGlobalConfig } from "../composition/global-config.ts";
import { BodyReader, BodyRefusal } from "./body.ts";
import { type WebhookServer, startWebhookServer, webhookPath } from "./server.ts";

const MIB = 1024 * 1024;
const ADMISSION = webhookPath("validate", "v1alpha2", "service");
const context = {
  systemNamespace: "kserve",
  global: () => defaultGlobalConfig("kserve"),
  isPreset: () => false,
  protectPresets: true,
  localModels: () => [],
  usersOf: () => [],
};

let server: WebhookServer;
beforeAll(async () => {
  const validity = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + 3_600_000) };
  const pair = createSelfSigned({ organization: "test", dnsNames: ["localhost"], ipAddresses: [], ...validity });
  const at = { host: "127.0.0.1", port: 0 };
  server = await startWebhookServer({ ...at, pair, context, logger: silentLogger });
});
afterAll(async () => await server.close());

/** Status and text of an answer; a request that is refused before its end may find its connection closed. */
function send(
  path: string,
  body: string | Buffer,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<readonly [status: number, text: string]> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: "127.0.0.1",
      port: server.port,
      path,
      method: "POST",
      agent: false,
      rejectUnauthorized: false,
      ...options,
    });
    let answered = false;
    call.on("error", (error) => answered || reject(error));
    call.once("response", (response) => {
      answered = true;
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.once("end", () => resolve([response.statusCode ?? 0, text]));
    });
    call.end(body);
  });
}

describe("what the webhooks take", () => {
  const huge = { "content-length": String(8 * MIB) };
  test.each([
    ["another path", "/other", "{}", {}, 404, "no webhook"],
    ["another path, whatever it says to send", "/other", "", { headers: huge }, 404, "no webhook"],
    ["another method", ADMISSION, "", { method: "GET" }, 405, "POST"],
    ["no JSON", ADMISSION, "{", {}, 400, "JSON"],
    ["no object", ADMISSION, "[]", {}, 400, "must be a JSON object"],
    ["an announced size that is too large, at once", ADMISSION, "", { headers: huge }, 413, "larger than"],
    [
      "a size that was not announced",
      ADMISSION,
      Buffer.alloc(8 * MIB),
      { headers: { "transfer-encoding": "chunked" } },
      413,
      "larger than",
    ],
  ])("%s is refused", async (_what, path, body, options, status, text) => {
    expect(await send(path, body, options)).toEqual([status, expect.stringContaining(text)]);
  });

  test("a list of 30 MiB is converted", async () => {
    const review = { request: { uid: "u", desiredAPIVersion: "serving.kserve.io/v1alpha2", objects: [] } };
    const [status, text] = await send("/convert", JSON.stringify(review) + " ".repeat(30 * MIB));
    expect([status, JSON.parse(text)]).toMatchObject([200, { response: { uid: "u" } }]);
  });
});

test("bodies that come at once are bounded together, and one that ends makes room", async () => {
  const reader = new BodyReader(3 * MIB);
  const upload = () => {
    const stream = Object.assign(new PassThrough({ highWaterMark: 2 * MIB }), { headers: {} });
    const body = reader.read(stream as unknown as IncomingMessage, 2 * MIB);
    const end = body.then(
      ({ length }) => length,
      (error: unknown) => (error instanceof BodyRefusal ? error.status : 0),
    );
    stream.write(Buffer.alloc(1.25 * MIB));
    return { stream, end };
  };
  const [first, second] = [upload(), upload()];
  await new Promise((resolve) => setImmediate(resolve));
  expect(await upload().end).toBe(503);
  for (const { stream } of [first, second]) stream.end();
  expect(await Promise.all([first.end, second.end])).toEqual([1.25 * MIB, 1.25 * MIB]);
  const third = upload();
  third.stream.end();
  expect(await third.end).toBe(1.25 * MIB);
});
