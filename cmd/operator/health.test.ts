import { type AddressInfo, connect, createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type HealthServer, startHealthServer } from "./health.ts";

let port = 0;
let server: HealthServer;
beforeAll(async () => {
  const held = createServer();
  await new Promise<void>((resolve) => void held.listen(0, "127.0.0.1", resolve));
  ({ port } = held.address() as AddressInfo);
  await new Promise((resolve) => void held.close(resolve));
  const render = (): string => {
    throw new Error("no page");
  };
  server = await startHealthServer({ host: "127.0.0.1", port }, { ready: () => false, render });
});
afterAll(async () => await server.close());

/** First line of the answer to a request for a target, as it is. */
function statusOf(target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1").once("error", reject);
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString())).once("close", () => resolve(text.split("\r\n")[0] ?? ""));
    socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  });
}

test.each([
  ["/healthz", "200 OK"],
  ["/readyz", "503 Service Unavailable"],
  ["//", "400 Bad Request"],
  ["http://[", "400 Bad Request"],
  ["/other", "404 Not Found"],
  ["/metrics", "500 Internal Server Error"],
  [`/${"x".repeat(20_000)}`, "431 Request Header Fields Too Large"],
])("%.20s is answered, and the process goes on", async (target, status) => {
  expect(await statusOf(target)).toBe(`HTTP/1.1 ${status}`);
  expect(await statusOf("/healthz")).toBe("HTTP/1.1 200 OK");
});
