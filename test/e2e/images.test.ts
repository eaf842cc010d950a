import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { bundle } from "../../images/bundle.ts";
import { createApiServer } from "../../playground/apiserver/server.ts";
import { ROOT, run, start } from "./process.ts";

const required = process.env["CI"] === "true";
const possible = process.getuid?.() === 0 && process.platform === "linux";
if (!possible && !required)
  process.stderr.write("not root: the images' root filesystem is not tested (CI=true requires it)\n");

/** The largest image that may be released. */
const MAX_BYTES = 200 * 1024 * 1024;
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

  test.each(["/manager", "/app/llmisvc-operator", "/app/epp", "/app/llmisvc-scheduler"])(
    "%s lists its flags",
    async (program) => {
      const { code, stdout, stderr } = await run("chroot", [UNPRIVILEGED, root, program, "--help"], { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^llmisvc (operator|scheduler): /);
    },
  );

  test("/bin/sleep is there for the hooks of deployments", async () => {
    expect((await run("chroot", [UNPRIVILEGED, root, "/bin/sleep", "0"], { env })).code).toBe(0);
  });

  test("the scheduler reaches an API server, listens, and ends when it is told to", async () => {
    const api = await createApiServer();
    writeFileSync(join(root, "tmp/kubeconfig"), kubeconfig(api.url));
    const ports = ["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--drain-timeout=0"];
    const scheduler = start("chroot", [UNPRIVILEGED, root, "/app/epp", "--pool-name=none", ...ports], {
      ...env,
      KUBECONFIG: "/tmp/kubeconfig",
      LLMISVC_BIND_ADDRESS: "127.0.0.1",
    });
    try {
      await scheduler.output(/"msg":"listening"/, 10_000);
    } finally {
      scheduler.child.kill("SIGTERM");
      const { code } = await scheduler.finished;
      await api.close();
      expect(code).toBe(0);
    }
  });

  test("names the packages it is made of, for scanners", () => {
    const libc = readFileSync(join(root, "var/lib/dpkg/status.d/libc6"), "utf8");
    expect(libc).toMatch(/^Package: libc6$/m);
  });
});

const kubeconfig = (server: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server } }],
    users: [{ name: "test", user: {} }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
