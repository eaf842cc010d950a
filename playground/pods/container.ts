import { timestamp } from "../conditions.ts";
import { type Fields, numberAt, recordAt, textAt } from "../fields.ts";
import { ContainerConfigError } from "./environment.ts";
import { LogBuffer } from "./logs.ts";
import { type ProbeResult, type ProbeTarget, pause, repeatProbe } from "./probes.ts";
import type { Exit, RunningProcess } from "./process.ts";

/** Paces of the pod runner; a cluster's values are the kubelet's. */
export interface PodSettings {
  /** Wait before the second restart in a row, ms; doubled with each further one up to 30 times as long (kubelet: 10 s). */
  readonly backOffMs: number;
  /** Interval of start-up and readiness probes until their first success, ms; undefined keeps to the declared delays. */
  readonly eagerProbeIntervalMs: number | undefined;
  /** Upper limit of a `preStop` hook, ms. */
  readonly preStopLimitMs: number;
}

/** A run that lasted this long starts the restart delays over (kubelet). */
const STABLE_RUN_MS = 600_000;
const BACK_OFF_CAP = 30;
const CONFIG_RETRY_MS = 1000;
const FALLBACK_MESSAGE = { lines: 80, bytes: 2048 } as const;

/** Waits for the end of a process, and kills it when that takes longer than `graceMs`. */
async function endWithin(process: RunningProcess, graceMs: number): Promise<void> {
  const over = new AbortController();
  const killed = pause(graceMs, over.signal).then((due) => (due ? process.signal("SIGKILL") : undefined));
  await process.exited;
  over.abort();
  await killed;
}

/** What a container needs from its pod. */
export interface ContainerContext {
  readonly spec: Fields;
  readonly restartPolicy: "Always" | "OnFailure" | "Never";
  readonly settings: PodSettings;
  readonly podIP: string;
  /** Wall clock in ms. */
  readonly now: () => number;
  /** Starts the container's process; rejects with `ContainerConfigError` where the spec does not allow it. */
  readonly launch: (onOutput: (text: string) => void) => Promise<RunningProcess>;
  /** Runs a command in the container's environment. */
  readonly exec: (command: readonly string[], timeoutMs: number) => Promise<ProbeResult>;
  /** What the process wrote as its termination message, if anything. */
  readonly terminationMessage: () => string;
  readonly onChange: () => void;
  readonly event: (type: "Normal" | "Warning", reason: string, message: string) => void;
}

/** One container of a pod: its process, probes, restarts and status. */
export class Container {
  readonly name: string;
  readonly #context: ContainerContext;
  readonly #stop = new AbortController();
  readonly #startedOnce = Promise.withResolvers<void>();
  readonly #done = Promise.withResolvers<number>();
  #state: Fields = { waiting: { reason: "ContainerCreating" } };
  #lastState: Fields = {};
  #process: RunningProcess | undefined;
  #probes: AbortController | undefined;
  #ready = false;
  #started = false;
  #restarts = 0;
  #failuresInRow = 0;
  #runs = 0;
  #log: LogBuffer;
  #previousLog: LogBuffer | undefined;

  constructor(context: ContainerContext) {
    this.#context = context;
    this.name = textAt(context.spec, "name") ?? "";
    this.#log = new LogBuffer(context.now);
  }

  /** Output of the present run, or of the one before. */
  log(previous: boolean): LogBuffer | undefined {
    return previous ? this.#previousLog : this.#log;
  }

  get ready(): boolean {
    return this.#ready;
  }

  get running(): boolean {
    return this.#state["running"] !== undefined;
  }

  /** Resolves when the container started (its start-up probe included), or ended for good. */
  get started(): Promise<void> {
    return this.#startedOnce.promise;
  }

  /** Resolves with the exit code when the container ended and is not started again. */
  get finished(): Promise<number> {
    return this.#done.promise;
  }

  /** `containerStatuses[]` entry (core v1). */
  status(): Fields {
    const image = textAt(this.#context.spec, "image") ?? "";
    return {
      name: this.name,
      image,
      imageID: image,
      ...(this.#process === undefined ? {} : { containerID: `process://${this.#process.pid}` }),
      state: this.#state,
      lastState: this.#lastState,
      ready: this.#ready,
      started: this.#started,
      restartCount: this.#restarts,
    };
  }

  /** Shows why the container does not start yet. */
  wait(reason: string, message?: string): void {
    this.#set({ waiting: { reason, ...(message === undefined ? {} : { message }) } });
  }

  /** Runs the container until it ends for good. */
  start(): void {
    void this.#run().then((code) => {
      this.#startedOnce.resolve();
      this.#done.resolve(code);
    });
  }

  /** Runs the `preStop` hook, then SIGTERM, and SIGKILL after what is left of `graceMs`; a later call can only bring that forward. */
  async stop(graceMs: number): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort();
      this.#probes?.abort();
      await this.#end(graceMs);
    } else if (this.#process !== undefined && this.running) await endWithin(this.#process, graceMs);
  }

  async #run(): Promise<number> {
    for (;;) {
      const startMs = performance.now();
      const exit = await this.#runOnce();
      if (this.#stop.signal.aborted) return exit?.code ?? 0;
      if (exit === undefined) {
        if (!(await pause(CONFIG_RETRY_MS, this.#stop.signal))) return 1;
        continue;
      }
      const { restartPolicy } = this.#context;
      if (restartPolicy === "Never" || (restartPolicy === "OnFailure" && exit.code === 0)) return exit.code;
      if (performance.now() - startMs >= STABLE_RUN_MS) this.#failuresInRow = 0;
      if (!(await this.#backOff())) return exit.code;
      this.#restarts++;
    }
  }

  async #runOnce(): Promise<Exit | undefined> {
    const { event, launch, now, spec } = this.#context;
    if (this.#runs > 0) this.#previousLog = this.#log;
    const log = new LogBuffer(now);
    this.#log = log;
    let process: RunningProcess;
    try {
      process = await launch((text) => log.append(text));
    } catch (error) {
      this.#refuse(error);
      return undefined;
    }
    this.#runs++;
    this.#process = process;
    const startedAt = timestamp(now());
    this.#started = recordAt(spec, "startupProbe") === undefined;
    this.#ready = this.#started && recordAt(spec, "readinessProbe") === undefined;
    this.#set({ running: { startedAt } });
    event("Normal", "Started", `Started container ${this.name}`);
    if (this.#stop.signal.aborted) process.signal("SIGKILL");
    else this.#watch(process);
    const exit = await process.exited;
    this.#probes?.abort();
    log.end();
    this.#ready = false;
    this.#started = false;
    this.#set({ terminated: this.#terminated(exit, startedAt) });
    return exit;
  }

  #refuse(error: unknown): void {
    const reason = error instanceof ContainerConfigError ? error.reason : "RunContainerError";
    const message = error instanceof Error ? error.message : String(error);
    if (recordAt(this.#state, "waiting")?.["message"] !== message) this.#context.event("Warning", "Failed", message);
    this.wait(reason, message);
  }

  #terminated(exit: Exit, startedAt: string): Fields {
    const { spec, now, terminationMessage } = this.#context;
    const fallback = exit.code !== 0 && textAt(spec, "terminationMessagePolicy") === "FallbackToLogsOnError";
    const message =
      terminationMessage() || (fallback ? this.#log.tail(FALLBACK_MESSAGE.lines, FALLBACK_MESSAGE.bytes) : "");
    return {
      exitCode: exit.code,
      ...(exit.signal === undefined ? {} : { signal: exit.signal }),
      reason: exit.code === 0 ? "Completed" : "Error",
      ...(message === "" ? {} : { message }),
      startedAt,
      finishedAt: timestamp(now()),
    };
  }

  /** The first restart comes at once, each further one after twice the delay of the one before. */
  async #backOff(): Promise<boolean> {
    const { backOffMs } = this.#context.settings;
    const failures = this.#failuresInRow++;
    this.#lastState = this.#state;
    if (failures === 0) return !this.#stop.signal.aborted;
    const delayMs = backOffMs * Math.min(BACK_OFF_CAP, 2 ** (failures - 1));
    const message = `back-off ${Math.round(delayMs / 1000)}s restarting failed container=${this.name}`;
    this.#context.event("Warning", "BackOff", `Back-off restarting failed container ${this.name}`);
    this.wait("CrashLoopBackOff", message);
    return await pause(delayMs, this.#stop.signal);
  }

  #watch(process: RunningProcess): void {
    const { spec, podIP, exec } = this.#context;
    const probes = new AbortController();
    this.#probes = probes;
    const target: ProbeTarget = { podIP, container: spec, exec };
    const startup = recordAt(spec, "startupProbe");
    const rest = (): void => {
      if (!this.#started || this.#startedTold !== this.#runs) this.#tellStarted();
      this.#watchReadiness(target, probes.signal);
      this.#watchLiveness(target, process, probes.signal);
    };
    if (startup === undefined) return rest();
    const own = new AbortController();
    const signal = AbortSignal.any([probes.signal, own.signal]);
    void repeatProbe(startup, target, this.#eager(), signal, {
      failure: (message) => this.#unhealthy("Startup", message),
      verdict: (success) => {
        own.abort();
        if (success) rest();
        else void this.#restart("startup");
      },
    });
  }

  #startedTold = 0;

  #tellStarted(): void {
    this.#startedTold = this.#runs;
    this.#started = true;
    this.#ready = recordAt(this.#context.spec, "readinessProbe") === undefined;
    this.#startedOnce.resolve();
    this.#context.onChange();
  }

  #eager() {
    return { eagerIntervalMs: this.#context.settings.eagerProbeIntervalMs };
  }

  #watchReadiness(target: ProbeTarget, signal: AbortSignal): void {
    const probe = recordAt(this.#context.spec, "readinessProbe");
    if (probe === undefined) return;
    void repeatProbe(probe, target, this.#eager(), signal, {
      failure: (message) => this.#unhealthy("Readiness", message),
      verdict: (success) => {
        if (this.#ready === success) return;
        this.#ready = success;
        this.#context.onChange();
      },
    });
  }

  #watchLiveness(target: ProbeTarget, process: RunningProcess, signal: AbortSignal): void {
    const probe = recordAt(this.#context.spec, "livenessProbe");
    if (probe === undefined) return;
    void repeatProbe(probe, target, { eagerIntervalMs: undefined }, signal, {
      failure: (message) => this.#unhealthy("Liveness", message),
      verdict: (success) => {
        if (!success && this.#process === process) void this.#restart("liveness");
      },
    });
  }

  #unhealthy(kind: string, message: string): void {
    this.#context.event("Warning", "Unhealthy", `${kind} probe failed: ${message}`);
  }

  async #restart(probe: string): Promise<void> {
    this.#probes?.abort();
    const message = `Container ${this.name} failed ${probe} probe, will be restarted`;
    this.#context.event("Normal", "Killing", message);
    await this.#end((numberAt(this.#context.spec, "terminationGracePeriodSeconds") ?? 30) * 1000);
  }

  async #end(graceMs: number): Promise<void> {
    const process = this.#process;
    if (process === undefined || !this.running) return;
    const startMs = performance.now();
    await this.#preStop(Math.min(graceMs, this.#context.settings.preStopLimitMs));
    process.signal("SIGTERM");
    await endWithin(process, Math.max(0, graceMs - (performance.now() - startMs)));
  }

  async #preStop(limitMs: number): Promise<void> {
    const hook = recordAt(this.#context.spec, "lifecycle", "preStop");
    if (hook === undefined || limitMs <= 0) return;
    const seconds = numberAt(hook, "sleep", "seconds");
    if (seconds !== undefined) await pause(Math.min(limitMs, seconds * 1000), new AbortController().signal);
    const command = recordAt(hook, "exec")?.["command"];
    if (Array.isArray(command)) await this.#context.exec(command.map(String), limitMs);
  }

  #set(state: Fields): void {
    this.#state = state;
    this.#context.onChange();
  }
}
