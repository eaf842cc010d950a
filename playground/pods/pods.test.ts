import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import type { KubeObject } from "../../kube/types.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { until } from "../until.ts";
import { type PodFacts, expandVariables, resolveEnvironment } from "./environment.ts";
import { createImages } from "./images.ts";
import { LogBuffer } from "./logs.ts";
import { rewritePaths } from "./paths.ts";
import { Pod } from "./pod.ts";
import { podStatus } from "./pod-status.ts";
import { type VolumeSources, writeVolumes } from "./volumes.ts";

const folder = mkdtempSync(join(tmpdir(), "llmisvc-pods-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pod: KubeObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "ns", uid: "u", labels: { app: "web" } },
  spec: {
    volumes: [
      { name: "tls", secret: { secretName: "certs" } },
      { name: "config", configMap: { name: "missing", optional: true } },
      { name: "info", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
    ],
  },
};
const facts: PodFacts = { pod, podIP: "127.9.0.1", hostIP: "127.9.0.0" };
const read = async (kind: string, name: string) =>
  kind === "Secret" && name === "certs" ? { "tls.crt": "CERT", "tls.key": "KEY" } : undefined;

describe("container paths", () => {
  const mappings = [
    { containerPath: "/mnt/models", hostPath: "/host/m" },
    { containerPath: "/mnt", hostPath: "/host/n" },
    { containerPath: "/tmp/", hostPath: "/tmp/x/tmp" },
  ];
  test.each([
    ["/mnt/models", "/host/m"],
    ["--model=/mnt/models/a", "--model=/host/m/a"],
    ["/mnt/modelsX", "/host/n/modelsX"],
    ["/other/mnt/models", "/other/mnt/models"],
    ["a:/mnt/models:/tmp", "a:/host/m:/tmp/x/tmp"],
    ["serve /tmp/x; cat '/mnt/a'", "serve /tmp/x/tmp/x; cat '/host/n/a'"],
    ["./mnt", "./mnt"],
  ])("%s becomes %s", (text, wanted) => expect(rewritePaths(text, mappings)).toBe(wanted));
});

describe("variables", () => {
  test.each([
    ["$(A)-$(B)", "1-$(B)"],
    ["$$(A)", "$(A)"],
    ["$A", "$A"],
  ])("%s expands to %s", (text, wanted) => expect(expandVariables(text, { A: "1" })).toBe(wanted));

  test("come from the pod, from objects and from each other", async () => {
    const container = {
      envFrom: [{ prefix: "S_", secretRef: { name: "certs" } }],
      env: [
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: "URL", value: "http://$(IP):80" },
        { name: "NONE", valueFrom: { configMapKeyRef: { name: "x", key: "y", optional: true } } },
        { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
      ],
      resources: { limits: { cpu: "2" } },
    };
    await expect(resolveEnvironment(container, facts, read)).resolves.toEqual({
      "S_tls.crt": "CERT",
      "S_tls.key": "KEY",
      IP: "127.9.0.1",
      APP: "web",
      URL: "http://127.9.0.1:80",
      CPU: "2",
    });
  });

  test("a missing key that is not optional is an error that names it", async () => {
    const env = [{ name: "A", valueFrom: { secretKeyRef: { name: "certs", key: "ca.crt" } } }];
    await expect(resolveEnvironment({ env }, facts, read)).rejects.toThrow(
      "couldn't find key ca.crt in Secret ns/certs",
    );
  });
});

describe("volumes", () => {
  test("are directories with the files of their sources", async () => {
    const paths = await writeVolumes(facts, { pod: join(folder, "a"), claims: join(folder, "claims") }, { read });
    expect(readFileSync(join(paths.get("tls")!, "tls.crt"), "utf8")).toBe("CERT");
    expect(readFileSync(join(paths.get("info")!, "labels"), "utf8")).toBe('app="web"');
    expect(statSync(paths.get("config")!).isDirectory()).toBe(true);
  });

  test("hold what a source became while they were written", async () => {
    const values = ["old", "new"];
    const reading = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const sources: VolumeSources = {
      read: async () => {
        const value = values[0]!;
        reading.resolve();
        await goOn.promise;
        return { value };
      },
    };
    const spec = { volumes: [{ name: "v", secret: { secretName: "s" } }] };
    const running = new Pod({ ...pod, spec }, "127.9.0.1", {
      images: { path: "", commandOf: () => [] },
      settings: { backOffMs: 1, eagerProbeIntervalMs: 1, preStopLimitMs: 1 },
      logger: silentLogger,
      now: () => 0,
      hostIP: "127.9.0.0",
      folders: { pod: join(folder, "c"), claims: folder },
      environment: {},
      sources,
      onChange: () => undefined,
      event: () => undefined,
    });
    running.start();
    await reading.promise;
    values.shift();
    await running.refreshVolumes();
    goOn.resolve();
    const file = join(folder, "c/volumes/v/value");
    await until("the new value", () => existsSync(file) && readFileSync(file, "utf8") === "new", { pollMs: 5 });
    await running.stop(0);
  });

  test("a missing source says which volume cannot be mounted", async () => {
    const folders = { pod: join(folder, "b"), claims: folder };
    const broken = { ...facts, pod: { ...pod, spec: { volumes: [{ name: "v", secret: { secretName: "none" } }] } } };
    await expect(writeVolumes(broken, folders, { read })).rejects.toThrow('volume "v" : secret "none" not found');
  });
});

describe("status", () => {
  const sidecar = { name: "side", restartPolicy: "Always" };
  const main = { name: "main", ready: true, state: { running: {} } };
  const statusWith = (side: object) =>
    podStatus({
      pod: { ...pod, spec: { initContainers: [sidecar, { name: "once" }], containers: [{ name: "main" }] } },
      podIP: "127.9.0.1",
      hostIP: "127.9.0.0",
      startTime: "t",
      init: [
        { name: "side", started: true, ...side },
        { name: "once", ready: false, state: { terminated: { exitCode: 0 } } },
      ],
      main: [main],
      previous: undefined,
      now: "t",
    });
  test.each([
    [{ ready: true }, { status: "True" }],
    [{ ready: false }, { status: "False", message: "containers with unready status: [side]" }],
  ])("a pod is as ready as its sidecars: %j", (side, wanted) => {
    const conditions = statusWith(side)["conditions"] as { readonly type: string }[];
    expect(conditions.find(({ type }) => type === "Ready")).toMatchObject(wanted);
  });
});

describe("programs of containers", () => {
  const entries = { operator: "/o.ts", scheduler: "/s.ts", sidecar: "/d.ts", simulator: "/m.ts", cli: "/c.ts" };
  const images = createImages({ entries, folder: join(folder, "images"), node: "/usr/bin/node" });
  test.each([
    [
      { image: "kserve/storage-initializer:latest", args: ["hf://a", "/mnt"] },
      ["storage-initializer", "hf://a", "/mnt"],
    ],
    [{ image: "ghcr.io/llm-d/llm-d-cuda:v0.9.0", args: ["--port", "1"] }, ["vllm", "--port", "1"]],
    [{ image: "ghcr.io/llm-d/llm-d-routing-sidecar:v0.2.0", args: ["--port=1"] }, ["pd-sidecar", "--port=1"]],
    [{ image: "llmisvc-scheduler:0.1.0", command: ["/app/pd-sidecar", "--port=1"] }, ["pd-sidecar", "--port=1"]],
    [{ image: "x", command: ["/app/epp", "-v=4", ""] }, ["epp", "-v=4", ""]],
  ])("%j", (container, [program, ...args]) => {
    expect(images.commandOf(container)).toEqual([join(images.path, program!), ...args]);
  });

  test("shells are those of the machine", () => {
    expect(images.commandOf({ command: ["/bin/bash", "-c", "x"] })).toEqual(["bash", "-c", "x"]);
  });

  test("an image or a program without a stand-in is refused with a reason", () => {
    expect(() => images.commandOf({ image: "nginx" })).toThrow('no program for image "nginx"');
    expect(() => images.commandOf({ command: ["/usr/bin/java"] })).toThrow("the playground has no such program");
  });
});

describe("logs", () => {
  const all = { follow: false, timestamps: false, tailLines: undefined, sinceMs: undefined };
  const collect = async (lines: AsyncIterable<string>): Promise<string> => {
    let text = "";
    for await (const line of lines) text += line;
    return text;
  };
  const never = new AbortController().signal;

  test("keep whole lines and give the last ones", async () => {
    const log = new LogBuffer(() => 0);
    log.append("a\nb");
    log.append("c\nd");
    await expect(collect(log.read(all, never))).resolves.toBe("a\nbc\n");
    log.end();
    await expect(collect(log.read({ ...all, tailLines: 1, timestamps: true }, never))).resolves.toBe(
      "1970-01-01T00:00:00.000Z d\n",
    );
  });

  test("are followed until they end", async () => {
    const log = new LogBuffer(() => 0);
    log.append("a\n");
    const followed = collect(log.read({ ...all, follow: true }, never));
    await Promise.resolve();
    log.append("b\n");
    log.end();
    await expect(followed).resolves.toBe("a\nb\n");
  });

  test("stay within bounds under a flood", async () => {
    const log = new LogBuffer(() => 0);
    for (let index = 0; index < 30_000; index++) log.append(`${index}\n`);
    const lines = (await collect(log.read(all, never))).trim().split("\n");
    expect(lines.length).toBeLessThanOrEqual(20_000);
    expect(lines.at(-1)).toBe("29999");
  });
});
