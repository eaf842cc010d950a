/**
 * A process with model servers that fail on command: `count` listeners on the loopback addresses from 127.89.0.1 on, one port for
 * all. Prints the port as JSON. Lines `INDEX MODE` on the standard input set what a server does: `up` answers with metrics,
 * `stalled` takes connections and says nothing, `down` refuses them. Ends with its parent.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";

type Mode = "up" | "stalled" | "down";

/** Values that differ over time, so that picks move about. */
function pageOf(index: number): string {
  const load = Math.floor(performance.now() / 250) * (index + 7);
  const labels = '{engine="0",model_name="m"}';
  return [
    `vllm:num_requests_waiting${labels} ${load % 5}`,
    `vllm:num_requests_running${labels} ${load % 11}`,
    `vllm:kv_cache_usage_perc${labels} ${(load % 97) / 100}`,
    "",
  ].join("\n");
}

class ModelServer {
  readonly #index: number;
  readonly #address: string;
  readonly #sockets = new Set<Socket>();
  #mode: Mode = "down";
  #server: Server | undefined;

  constructor(index: number) {
    this.#index = index;
    this.#address = `127.89.${Math.floor(index / 250)}.${(index % 250) + 1}`;
  }

  set(mode: Mode, port: number): Promise<number> {
    this.#mode = mode;
    if (mode === "down") {
      this.#server?.close();
      this.#server = undefined;
      for (const socket of this.#sockets) socket.destroy();
    }
    return mode === "down" || this.#server !== undefined ? Promise.resolve(port) : this.#listen(port);
  }

  #listen(port: number): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
      socket.on("data", (chunk) => {
        if (this.#mode === "up" && chunk.includes("\r\n\r\n")) socket.write(this.#answer());
      });
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject).listen(port, this.#address, () => {
        const bound = server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : 0);
      });
    });
  }

  #answer(): string {
    const page = pageOf(this.#index);
    return `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${page.length}\r\n\r\n${page}`;
  }
}

const count = Number(process.argv[2]);
const servers = Array.from({ length: count }, (_, index) => new ModelServer(index));
const port = await servers[0]!.set("up", 0);
console.log(JSON.stringify({ port }));
const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => {
  const [index = "", mode = "up"] = line.split(" ");
  // A port that somebody else took meanwhile leaves this server down.
  servers[Number(index)]?.set(mode as Mode, port).catch((error: unknown) => console.error(error));
});
commands.on("close", () => process.exit(0));
