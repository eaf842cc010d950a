import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { bundle } from "../../images/bundle.ts";
import { foreignDefinitions } from "../../crds/foreign.ts";
import { createKubeClient, loadKubeConfig } from "../../kube/http-client.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { readShared } from "../corpus.ts";
import { listenOnLoopback } from "../loopback.ts";
import { createApiServer } from "../../playground/apiserver/server.ts";
import { ROOT, run, start } from "./process.ts";
import { until } from "../../playground/until.ts";

const required = process.env["CI"] === "true";
const possible = process.getuid?.() === 0 && process.platform === "linux";
if (!possible && !required)
  process.stderr.write("not root: the images' root filesystem is not tested (CI=true requires it)\n");

/** The largest image that may be released. */
const MAX_BYTES = 200 * 1024 * 1024;
/** The most memory of a scheduler that has nothing to do. */
const MAX_RESTING_KIB = 90 * 1024;
const UNPRIVILEGED = "--userspec=65532:65532";

(possible || required ? describe : describe.skip)("root filesystem of the images", () => {
  const folder = mkdtempSync(join(tmpdir(), "llmisvc-images-"));
  const root = join(folder, "root");
  /** As the image sets it; authorities of this machine's environment are not in that root. */
  const env = { NODE_COMPILE_CACHE: "/app/compiled", NODE_EXTRA_CA_CERTS: "" };

  beforeAll(async () => {
    await bundle(join(folder, "bundle"));
    const { code, stderr } = await run(join(ROOT, "images/rootfs.sh"), [join(folder, "bundle"), root]);
    if (code !== 0) throw new Error(`rootfs.sh ended with ${code}:\n${stderr}`);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("holds no more than 200 MB", async () => {
    const { stdout } = await run("du", ["-sb", root]);
    expect(Number(stdout.split("\t")[0])).toBeLessThan(MAX_BYTES);
  });

  test.each([
    "/manager",
    "/app/llmisvc-operator",
    "/app/epp",
    "/app/llmisvc-scheduler",
    "/app/pd-sidecar",
    "/app/llmisvc",
  ])("%s lists its flags", async (program) => {
    const { code, stdout, stderr } = await run("chroot", [UNPRIVILEGED, root, program, "--help"], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^llmisvc( operator| scheduler| sidecar)?: /);
  });

  test("/bin/sleep is there for the hooks of deployments", async () => {
    expect((await run("chroot", [UNPRIVILEGED, root, "/bin/sleep", "0"], { env })).code).toBe(0);
  });

  test("the scheduler rests in 90 MB with a pool, tells its version, and ends when it is told to", async () => {
    const api = await createApiServer();
    const page = readShared("corpus/metrics/vllm-current.txt");
    const engine = await listenOnLoopback((_, response) => response.end(page));
    await createPool(api.kubeconfig(), Number(new URL(engine.url).port));
    writeFileSync(join(root, "tmp/kubeconfig"), kubeconfig(api.url));
    const ports = ["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--drain-timeout=0"];
    const scheduler = start("chroot", [UNPRIVILEGED, root, "/app/epp", "--pool-name=pool", ...ports], {
      ...env,
      KUBECONFIG: "/tmp/kubeconfig",
      LLMISVC_BIND_ADDRESS: "127.0.0.1",
    });
    try {
      const [, port] = await scheduler.output(/"msg":"listening".*"metrics":(\d+)/, 10_000);
      const metrics = await until("metrics of the engine", async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return /^llm_d_epp_ready_endpoints\{name="pool"\} 1$/m.test(text) ? text : undefined;
      });
      expect(metrics).toMatch(/^llm_d_epp_info\{commit="[0-9a-f]{40}",build_ref="\d+\.\d+\.\d+"\} 1$/m);
      const residentKib = (): number =>
        Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${scheduler.child.pid}/status`, "utf8"))?.[1]);
      const detail = (): string => `${residentKib()} of ${MAX_RESTING_KIB} KiB`;
      await until("memory of a scheduler at rest", () => residentKib() < MAX_RESTING_KIB, {
        timeoutMs: 10_000,
        detail,
      });
    } finally {
      scheduler.child.kill("SIGTERM");
      const { code } = await scheduler.finished;
      await engine.close();
      await api.close();
      expect(code).toBe(0);
    }
  });

  test("names what it is made of, for scanners", () => {
    const sbom = JSON.parse(readFileSync(join(root, "app/sbom.spdx.json"), "utf8")) as Sbom;
    const names = sbom.packages.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["llmisvc", "@grpc/grpc-js", "@kubernetes/client-node"]));
    expect(names.some((name) => name.startsWith("node-linux-"))).toBe(true);
    expect(names).not.toContain("jest");
  });

  test("names the packages it is made of, for scanners", () => {
    const libc = readFileSync(join(root, "var/lib/dpkg/status.d/libc6"), "utf8");
    expect(libc).toMatch(/^Package: libc6$/m);
  });
});

interface Sbom {
  readonly packages: readonly { readonly name: string }[];
}

/** A pool of one ready pod at a port of the loopback address. */
async function createPool(kubeconfigText: string, port: number): Promise<void> {
  const client = createKubeClient(await loadKubeConfig({ text: kubeconfigText }));
  for (const definition of foreignDefinitions() as unknown as KubeObject[]) await client.create(definition);
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
  const metadata = { name: "pool", namespace: "default" };
  const { apiVersion, kind } = KINDS.InferencePool;
  const endpointPickerRef = { name: "picker", port: { number: 9002 } };
  const selector = { matchLabels: { app: "engine" } };
  await client.create({
    apiVersion,
    kind,
    metadata,
    spec: { selector, targetPorts: [{ number: port }], endpointPickerRef },
  });
  const pod = { ...metadata, name: "engine", labels: { app: "engine" } };
  await client.create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: pod,
    spec: { containers: [{ name: "main", image: "vllm" }] },
  });
  const status = { phase: "Running", podIP: "127.0.0.1", conditions: [{ type: "Ready", status: "True" }] };
  await client.patch(KINDS.Pod, pod, { type: "merge", body: { status } }, { subresource: "status" });
  client.close();
}

const kubeconfig = (server: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server } }],
    users: [{ name: "test", user: {} }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
