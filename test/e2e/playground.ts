import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { SERVER } from "../bed-server.ts";
import { type Finished, ROOT, type Running, processesWith, run, start } from "./process.ts";
import { until } from "../../playground/until.ts";

/** Set in the environment of everything that one playground starts, so that what is left behind can be found. */
const MARKER = "LLMISVC_TEST_RUN";

/** A playground in processes of its own, and kubectl pointed at it. */
export interface TestPlayground {
  readonly process: Running;
  readonly folder: string;
  /** Environment that points kubectl and the command line at it. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs kubectl; throws with its output when it fails. Returns the standard output. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** Runs kubectl with `input` on its standard input, and returns whatever came of it. */
  tryKubectl(args: readonly string[], input?: string): Promise<Finished>;
  /** Runs `kubectl edit` with an editor that replaces text by a sed expression. */
  edit(kind: string, name: string, expression: string): Promise<string>;
  /** Starts kubectl and leaves it running (`logs -f`, `get -w`). */
  startKubectl(...args: readonly string[]): Running;
  /** An object as JSON. */
  get(kind: string, name: string, namespace?: string): Promise<KubeJson>;
  /** All objects of a kind in a namespace, as JSON. */
  list(kind: string, namespace?: string, selector?: string): Promise<KubeJson[]>;
  /** Metrics page of a scheduler, read with the rights of the kubeconfig. */
  metrics(podIP: string): Promise<string>;
  /** Ends it as Ctrl-C does, and fails when a process is left. */
  stop(): Promise<void>;
}

/** An object as kubectl prints it. */
export interface KubeJson {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** The value at a dotted path, `[n]` being a plain number: `at(pod, "status.podIP")`. Undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (current, key) => (typeof current === "object" && current !== null ? Reflect.get(current, key) : undefined),
      value,
    );
}

/** The condition of that type. */
export function condition(object: KubeJson, type: string): Readonly<Record<string, unknown>> | undefined {
  const conditions = at(object, "status.conditions") as Readonly<Record<string, unknown>>[] | undefined;
  return conditions?.find((entry) => entry["type"] === type);
}

/** Command of a playground on that server. */
function playgroundCommand(): readonly [string, ...string[]] {
  if (SERVER === "embedded") return [join(ROOT, "bin/llmisvc"), "playground", "--no-sample"];
  return [join(ROOT, "bin/node"), join(ROOT, "test/cluster/playground.ts"), `--release=${SERVER}`];
}

/** Starts a playground without a sample and waits until it takes manifests. */
export async function startPlayground(...args: readonly string[]): Promise<TestPlayground> {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-e2e-"));
  const run = randomUUID();
  const kubeconfig = join(folder, "kubeconfig");
  const [program, ...own] = playgroundCommand();
  const running = start(program, [...own, "--gateway-port=0", `--kubeconfig=${kubeconfig}`, ...args], {
    [MARKER]: run,
  });
  await running.output(/Ctrl-C/, 120_000);
  return handle(running, folder, kubeconfig, run);
}

function handle(running: Running, folder: string, kubeconfig: string, runId: string): TestPlayground {
  const env = { KUBECONFIG: kubeconfig, HOME: folder };
  const tryKubectl = (args: readonly string[], input?: string): Promise<Finished> =>
    run("kubectl", args, { env, ...(input === undefined ? {} : { input }) });
  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await tryKubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  };
  const edit = async (kind: string, name: string, expression: string): Promise<string> => {
    const editor = { ...env, KUBE_EDITOR: `sed -i -e '${expression}'` };
    const { code, stdout, stderr } = await run("kubectl", ["edit", kind, name], { env: editor });
    if (code !== 0) throw new Error(`kubectl edit ${kind} ${name} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  };
  const json = async (...args: readonly string[]): Promise<KubeJson> =>
    JSON.parse(await kubectl("get", ...args, "-o", "json")) as KubeJson;
  return {
    process: running,
    folder,
    env,
    kubectl,
    tryKubectl,
    edit,
    startKubectl: (...args) => start("kubectl", args, env),
    get: (kind, name, namespace = "default") => json(kind, name, "-n", namespace),
    list: async (kind, namespace = "default", selector) =>
      (await json(kind, "-n", namespace, ...(selector === undefined ? [] : ["-l", selector])))["items"] as KubeJson[],
    metrics: async (podIP) => {
      const view = ["config", "view", "--raw", "-o", "jsonpath={.users[0].user.token}"];
      const headers = { authorization: `Bearer ${await kubectl(...view)}` };
      return await (await fetch(`http://${podIP}:9090/metrics`, { headers })).text();
    },
    stop: async () => {
      running.child.kill("SIGINT");
      await running.finished;
      await until("all processes of the playground ended", () => processesWith(`${MARKER}=${runId}`).length === 0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An answer of the gateway. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Posts a JSON body (or the raw text) and reads the whole answer. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Applies a manifest text and fails with kubectl's output when it is refused. */
export async function apply(playground: TestPlayground, manifest: string): Promise<void> {
  const { code, stdout, stderr } = await playground.tryKubectl(["apply", "-f", "-"], manifest);
  if (code !== 0) throw new Error(`kubectl apply ended with ${code}:\n${stdout}\n${stderr}`);
}

/** Waits for Ready and returns the service's URL. */
export async function readyUrl(playground: TestPlayground, name: string, timeout = "60s"): Promise<string> {
  await playground.kubectl("wait", "--for=condition=Ready", `llminferenceservice/${name}`, `--timeout=${timeout}`);
  const service = await playground.get("llminferenceservice", name);
  return String(at(service, "status.url"));
}
