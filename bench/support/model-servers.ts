/**
 * A process with many model servers as far as a scraper can tell: `count` listeners on the loopback addresses from
 * 127.88.0.1 on, one port for all, each answering any GET with a metrics page. Prints the port as JSON, ends with its parent.
 */
import { readFileSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { createRandom } from "../../simulator/engine/random.ts";

const [pageFile = "", countText = "0"] = process.argv.slice(2);
const page = readFileSync(pageFile, "utf8");
const random = createRandom(7);

/** The page with gauges of its own, so that endpoints differ. */
function answerOf(): Buffer {
  const body = page
    .replace(
      /^(vllm:num_requests_waiting\{[^}]*\}) .*$/m,
      (_, series: string) => `${series} ${Math.floor(random() * 4)}.0`,
    )
    .replace(
      /^(vllm:num_requests_running\{[^}]*\}) .*$/m,
      (_, series: string) => `${series} ${Math.floor(random() * 16)}.0`,
    )
    .replace(/^(vllm:kv_cache_usage_perc\{[^}]*\}) .*$/m, (_, series: string) => `${series} ${random().toFixed(4)}`);
  const head = [
    "HTTP/1.1 200 OK",
    "date: Tue, 01 Sep 2026 00:00:00 GMT",
    "server: uvicorn",
    `content-length: ${Buffer.byteLength(body)}`,
    "content-type: text/plain; version=0.0.4; charset=utf-8",
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function serve(address: string, port: number): Promise<number> {
  const answer = answerOf();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      if (chunk.includes("\r\n\r\n")) socket.write(answer);
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(port, address, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : 0);
    });
  });
}

const addressOf = (index: number): string => `127.88.${Math.floor(index / 250)}.${(index % 250) + 1}`;

const port = await serve(addressOf(0), 0);
for (let index = 1; index < Number(countText); index++) await serve(addressOf(index), port);
console.log(
  JSON.stringify({ port, addresses: Array.from({ length: Number(countText) }, (_, index) => addressOf(index)) }),
);
process.stdin.resume().on("end", () => process.exit(0));
