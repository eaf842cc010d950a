import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { KubeObject } from "../../kube/types.ts";
import { type Logger, describeError } from "../../telemetry/log.ts";
import { timestamp } from "../conditions.ts";
import { type Fields, recordsAt, textAt, textsAt } from "../fields.ts";
import { Container, type PodSettings } from "./container.ts";
import { ContainerConfigError, type PodFacts, expandVariables, resolveEnvironment } from "./environment.ts";
import type { ImageCatalog } from "./images.ts";
import { type PathMapping, rewritePaths } from "./paths.ts";
import { podStatus } from "./pod-status.ts";
import { type ProbeResult, pause } from "./probes.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import { type VolumeSources, mountMappings, writeVolumes } from "./volumes.ts";

const MOUNT_RETRY_MS = 500;
const EXEC_OUTPUT_BYTES = 4096;

/** What all pods of a runner share. */
export interface PodContext {
  readonly images: ImageCatalog;
  readonly settings: PodSettings;
  readonly logger: Logger;
  readonly now: () => number;
  readonly hostIP: string;
  /** Folder of this pod, and the one of persistent volume claims. */
  readonly folders: { readonly pod: string; readonly claims: string };
  /** Variables of every process: how to reach the API server, and the marker of the run. */
  readonly environment: Readonly<Record<string, string>>;
  readonly sources: VolumeSources;
  /** Command line that runs another one (appended) with a container's mounts in place; absent: paths are rewritten alone. */
  readonly enter?: ((mounts: readonly PathMapping[]) => readonly string[]) | undefined;
  readonly onChange: () => void;
  readonly event: (type: "Normal" | "Warning", reason: string, message: string) => void;
}

/** A pod as processes of this machine: init containers in turn, then all containers, on one loopback address. */
export class Pod {
  readonly address: string;
  readonly #pod: KubeObject;
  readonly #context: PodContext;
  readonly #facts: PodFacts;
  readonly #startTime: string;
  readonly #stopping = new AbortController();
  readonly #init: readonly Container[];
  readonly #main: readonly Container[];
  #volumes: ReadonlyMap<string, string> = new Map();
  #isWriting = false;
  /** Whether a source has changed since volumes were last begun to be written. */
  #isStale = false;
  #stopped: Promise<void> | undefined;

  constructor(pod: KubeObject, address: string, context: PodContext) {
    this.#pod = pod;
    this.address = address;
    this.#context = context;
    this.#facts = { pod, podIP: address, hostIP: context.hostIP };
    this.#startTime = timestamp(context.now());
    this.#init = recordsAt(pod, "spec", "initContainers").map((spec) => this.#container(spec, true));
    this.#main = recordsAt(pod, "spec", "containers").map((spec) => this.#container(spec, false));
  }

  /** Starts the pod; what happens shows in `status`. */
  start(): void {
    void this.#run().catch((error: unknown) =>
      this.#context.logger.error("pod failed", { pod: this.#pod.metadata.name, error }),
    );
  }

  /** The container of that name. */
  container(name: string): Container | undefined {
    return [...this.#main, ...this.#init].find((container) => container.name === name);
  }

  /** The pod's status; `previous` is the one written last. */
  status(previous: Fields | undefined): Fields {
    return podStatus({
      pod: this.#pod,
      podIP: this.address,
      hostIP: this.#context.hostIP,
      startTime: this.#startTime,
      init: this.#init.map((container) => container.status()),
      main: this.#main.map((container) => container.status()),
      previous,
      now: timestamp(this.#context.now()),
    });
  }

  /** Writes configMap and secret volumes again, because a source changed. */
  async refreshVolumes(): Promise<void> {
    this.#isStale = true;
    if (this.#isWriting || this.#volumes.size === 0 || this.#stopping.signal.aborted) return;
    await this.#writeVolumes().catch((error: unknown) =>
      this.#context.logger.v(3, "volumes not refreshed", { error: describeError(error) }),
    );
  }

  /** Writes all volumes, and once more where a source changes meanwhile. */
  async #writeVolumes(): Promise<void> {
    const { folders, sources } = this.#context;
    this.#isWriting = true;
    try {
      do {
        this.#isStale = false;
        this.#volumes = await writeVolumes(this.#facts, folders, sources);
      } while (this.#isStale && !this.#stopping.signal.aborted);
    } finally {
      this.#isWriting = false;
    }
  }

  /** Ends all containers, sidecars last, and removes the pod's folder; a later call with less time brings the end forward. */
  stop(graceMs: number): Promise<void> {
    if (this.#stopped !== undefined)
      for (const container of [...this.#main, ...this.#init]) void container.stop(graceMs);
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    const deadline = performance.now() + graceMs;
    const running = this.#main.filter((container) => container.running);
    for (const { name } of running) this.#context.event("Normal", "Killing", `Stopping container ${name}`);
    await Promise.all(this.#main.map((container) => container.stop(graceMs)));
    for (const container of [...this.#init].reverse()) await container.stop(Math.max(0, deadline - performance.now()));
    await rm(this.#context.folders.pod, { recursive: true, force: true, maxRetries: 5 });
  }

  async #run(): Promise<void> {
    if (!(await this.#mount())) return;
    for (const [index, container] of this.#init.entries()) {
      container.start();
      const sidecar = textAt(this.#pod, "spec", "initContainers", index, "restartPolicy") === "Always";
      const code = sidecar ? await container.started.then(() => 0) : await container.finished;
      if (code !== 0 || this.#stopping.signal.aborted) return;
    }
    for (const container of this.#main) container.start();
  }

  async #mount(): Promise<boolean> {
    const { folders, event } = this.#context;
    for (const container of this.#init.length > 0 ? this.#main : []) container.wait("PodInitializing");
    while (!this.#stopping.signal.aborted) {
      try {
        await mkdir(folders.pod, { recursive: true });
        await this.#writeVolumes();
        return true;
      } catch (error) {
        const reason = error instanceof ContainerConfigError ? error.reason : "FailedMount";
        event("Warning", reason, describeError(error));
        await pause(MOUNT_RETRY_MS, this.#stopping.signal);
      }
    }
    return false;
  }

  #container(spec: Fields, init: boolean): Container {
    const name = textAt(spec, "name") ?? "";
    const { settings, now, onChange, event } = this.#context;
    return new Container({
      spec,
      settings,
      now,
      onChange,
      podIP: this.address,
      restartPolicy: restartPolicy(this.#pod, spec, init),
      launch: (onOutput) => this.#launch(spec, onOutput),
      exec: (command, timeoutMs) => this.#exec(spec, command, timeoutMs),
      terminationMessage: () => this.#terminationMessages.get(name) ?? "",
      event,
    });
  }

  readonly #terminationMessages = new Map<string, string>();

  #terminationLog(spec: Fields): string {
    return join(this.#context.folders.pod, `termination-log-${textAt(spec, "name")}`);
  }

  async #launch(spec: Fields, onOutput: (text: string) => void): Promise<RunningProcess> {
    const { images, event } = this.#context;
    const name = textAt(spec, "name") ?? "";
    const { env, mappings } = await this.#environment(spec);
    const command = this.#command(images.commandOf(expanded(spec, env)), mappings);
    event("Normal", "Pulled", `Container image "${textAt(spec, "image")}" already present on machine`);
    event("Normal", "Created", `Created container: ${name}`);
    const log = this.#terminationLog(spec);
    await rm(log, { force: true });
    this.#terminationMessages.delete(name);
    const running = await startProcess({ command, env, cwd: this.#context.folders.pod, onOutput });
    const exited = running.exited.then(async (exit) => {
      const message = await readFile(log, "utf8").catch(() => "");
      if (message !== "") this.#terminationMessages.set(name, message.slice(0, EXEC_OUTPUT_BYTES));
      return exit;
    });
    return { ...running, exited };
  }

  /** Paths of the command itself (programs of this machine) stay; those of the container become paths of this machine. */
  #command(command: readonly string[], mappings: readonly PathMapping[]): readonly string[] {
    const [program = "", ...args] = command;
    return [
      ...(this.#context.enter?.(mappings) ?? []),
      program,
      ...args.map((argument) => rewritePaths(argument, mappings)),
    ];
  }

  async #environment(spec: Fields): Promise<{ env: Record<string, string>; mappings: readonly PathMapping[] }> {
    const mappings = mountMappings(spec, this.#volumes, this.#terminationLog(spec));
    const own = await resolveEnvironment(spec, this.#facts, this.#context.sources.read);
    const { namespace = "", name } = this.#pod.metadata;
    const env: Record<string, string> = {
      HOME: this.#context.folders.pod,
      HOSTNAME: name,
      POD_NAME: name,
      POD_NAMESPACE: namespace,
    };
    for (const [key, value] of Object.entries(own)) env[key] = rewritePaths(value, mappings);
    const path = `${this.#context.images.path}:${process.env["PATH"] ?? "/usr/bin:/bin"}`;
    const fixed = { PATH: path, POD_IP: this.address, LLMISVC_BIND_ADDRESS: this.address };
    return { env: { ...env, ...this.#context.environment, ...fixed }, mappings };
  }

  async #exec(spec: Fields, command: readonly string[], timeoutMs: number): Promise<ProbeResult> {
    const { env, mappings } = await this.#environment(spec);
    let output = "";
    const started = await startProcess({
      command: this.#command(this.#context.images.commandOf({ command: [...command] }), mappings),
      env,
      cwd: this.#context.folders.pod,
      onOutput: (text) => (output = (output + text).slice(0, EXEC_OUTPUT_BYTES)),
    });
    const over = new AbortController();
    void pause(timeoutMs, over.signal).then((due) => (due ? started.signal("SIGKILL") : undefined));
    const { code } = await started.exited;
    over.abort();
    return { success: code === 0, message: output.trim() === "" ? `command ended with ${code}` : output.trim() };
  }
}

function restartPolicy(pod: KubeObject, spec: Fields, init: boolean): "Always" | "OnFailure" | "Never" {
  const policy = textAt(pod, "spec", "restartPolicy");
  if (init) {
    if (textAt(spec, "restartPolicy") === "Always") return "Always";
    return policy === "Never" ? "Never" : "OnFailure";
  }
  return policy === "Never" || policy === "OnFailure" ? policy : "Always";
}

/** The container with `$(NAME)` expanded in its command and arguments. */
function expanded(spec: Fields, env: Readonly<Record<string, string>>): Fields {
  const expand = (list: readonly string[]) => list.map((text) => expandVariables(text, env));
  return { ...spec, command: expand(textsAt(spec, "command")), args: expand(textsAt(spec, "args")) };
}
