import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderOf } from "../cluster/toolbox.ts";
import { type Running, start } from "../e2e/process.ts";
import { until } from "../../playground/until.ts";
import type { Json } from "./config.ts";

/** A running Envoy. */
export interface Envoy {
  /** `http://127.0.0.1:port` of a listener. */
  url(listener: string): string;
  /** A counter or gauge by its whole name; 0 where it is not there. */
  stat(name: string): Promise<number>;
  readonly process: Running;
  close(): Promise<void>;
}

/** Starts Envoy with a bootstrap document whose listeners take free ports. Rejects with its output when it does not come up. */
export async function startEnvoy(config: Json): Promise<Envoy> {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-envoy-"));
  const [file, adminFile] = [join(folder, "envoy.json"), join(folder, "admin")];
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
  writeFileSync(file, JSON.stringify({ ...(config as object), admin }));
  const flags = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"];
  // setpriv ends it with its starter, however that ends.
  const command = [join(folderOf("envoy"), "envoy"), "-c", file, "--admin-address-path", adminFile, ...flags];
  const running = start("setpriv", ["--pdeathsig", "KILL", ...command]);
  const close = async (): Promise<void> => {
    running.child.kill("SIGTERM");
    await running.finished;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const adminUrl = await until("the admin address of Envoy", () => adminAddress(running, adminFile));
    const ports = await until("all listeners of Envoy", () => listeners(adminUrl));
    return {
      url: (listener) => `http://127.0.0.1:${portOf(ports, listener)}`,
      stat: async (name) => {
        const text = await (await fetch(`${adminUrl}/stats?filter=^${encodeURIComponent(name)}$`)).text();
        return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
      },
      process: running,
      close,
    };
  } catch (error) {
    await close();
    throw new Error(`Envoy did not come up:\n${running.stderr().slice(-4000)}`, { cause: error });
  }
}

function adminAddress(running: Running, file: string): string | undefined {
  if (running.child.exitCode !== null) throw new Error(running.stderr());
  try {
    const address = readFileSync(file, "utf8").trim();
    return address === "" ? undefined : `http://${address}`;
  } catch {
    return undefined;
  }
}

async function listeners(adminUrl: string): Promise<ReadonlyMap<string, number> | undefined> {
  const ready = await fetch(`${adminUrl}/ready`).catch(() => undefined);
  if (ready?.status !== 200) return undefined;
  const answer = (await (await fetch(`${adminUrl}/listeners?format=json`)).json()) as ListenerStatuses;
  const statuses = answer.listener_statuses ?? [];
  return new Map(statuses.map(({ name, local_address }) => [name, local_address.socket_address.port_value]));
}

interface ListenerStatuses {
  readonly listener_statuses?: readonly {
    readonly name: string;
    readonly local_address: { readonly socket_address: { readonly port_value: number } };
  }[];
}

function portOf(ports: ReadonlyMap<string, number>, listener: string): number {
  const port = ports.get(listener);
  if (port === undefined) throw new Error(`Envoy has no listener ${listener}, only ${[...ports.keys()].join(", ")}`);
  return port;
}
