/** Process of an API server in memory: prints a JSON line with its kubeconfig, and ends with its standard input. */
import { createApiServer } from "../../playground/apiserver/server.ts";

const server = await createApiServer();
console.log(JSON.stringify({ kubeconfig: server.kubeconfig() }));
process.stdin.on("end", () => void server.close().then(() => process.exit(0))).resume();
process.once("SIGTERM", () => process.exit(0));
