import { parseArgs } from "node:util";
import { startPlayground, type Playground } from "../../playground/playground.ts";
import { firstCompletion } from "../../playground/first-completion.ts";
import { createLogger, describeError } from "../../telemetry/log.ts";
import { flagsOrExitCode } from "./output.ts";
import { createProgress, type Progress } from "./progress.ts";

const USAGE = `llmisvc playground: API server, operator, simulated model servers, scheduler and gateway on this machine

Flags:
  --once               end after the first completion; the exit code tells whether it came
  --sample FILE        manifest to start with (default samples/quickstart.yaml)
  --no-sample          start empty
  --data-dir DIR       keep the cluster's state there from run to run (default: in memory)
  --kubeconfig FILE    where to write the kubeconfig (default .playground/kubeconfig)
  --port N             port of the API server; 0 takes a free one (default 0)
  --gateway-port N     port of the gateway; 0 takes a free one (default 8080)
  -v N                 verbosity of the log on the standard error, 0 to 5 (default: warnings and errors only)
  -h, --help           show this text
`;

const ROOT = new URL("../..", import.meta.url).pathname;

interface Flags {
  readonly once: boolean;
  readonly sample: string | undefined;
  readonly dataDir: string | undefined;
  readonly kubeconfig: string;
  readonly port: number;
  readonly gatewayPort: number;
  readonly verbosity: number | undefined;
}

function readPort(name: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new TypeError(`--${name}: "${text}" is not a port; give a number from 0 to 65535`);
}

function readVerbosity(text: string | undefined): number | undefined {
  if (text === undefined || /^[0-9]$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new TypeError(`-v: "${text}" is not a verbosity; give a number from 0 to 5`);
}

/** Reads the flags; undefined asks for the usage text. Throws `TypeError` for what it does not understand. */
function readFlags(args: readonly string[]): Flags | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: "boolean", default: false },
      sample: { type: "string", default: `${ROOT}samples/quickstart.yaml` },
      "no-sample": { type: "boolean", default: false },
      "data-dir": { type: "string" },
      kubeconfig: { type: "string", default: `${ROOT}.playground/kubeconfig` },
      port: { type: "string", default: "0" },
      "gateway-port": { type: "string", default: "8080" },
      verbosity: { type: "string", short: "v" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    once: values.once,
    sample: values["no-sample"] ? undefined : values.sample,
    dataDir: values["data-dir"],
    kubeconfig: values.kubeconfig,
    port: readPort("port", values.port),
    gatewayPort: readPort("gateway-port", values["gateway-port"]),
    verbosity: readVerbosity(values.verbosity),
  };
}

function howToGoOn(playground: Playground, flags: Flags): string {
  const follow = "-l app.kubernetes.io/component=llminferenceservice-scheduler";
  const sample = flags.sample === undefined ? "  kubectl apply -f samples/\n" : "";
  return `
Go on in another terminal:
  export KUBECONFIG=${playground.kubeconfigPath}
${sample}  kubectl get llmisvc,pods
  kubectl logs -f ${follow}
  kubectl scale llmisvc/quickstart --replicas=5
  kubectl explain llmisvc.spec.router.scheduler

Ctrl-C stops everything.`;
}

async function completeOnce(playground: Playground, sample: string, progress: Progress): Promise<void> {
  const completion = await firstCompletion(playground, sample, progress);
  progress.say(`
  POST ${completion.url}
    ${completion.requestBody}
  ${completion.status} after ${completion.elapsedMs.toFixed(0)} ms: ${JSON.stringify(completion.text)}
  served by  ${completion.pod}
  because    ${completion.reason}`);
}

/** Resolves at the first SIGINT or SIGTERM. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

async function runPlayground(flags: Flags): Promise<void> {
  const progress = createProgress(process.stdout, () => performance.now());
  const logger = createLogger({
    name: "playground",
    format: "console",
    verbosity: flags.verbosity ?? 0,
    write: (text) => void process.stderr.write(text),
  });
  const stop = interrupted();
  progress.say("llmisvc playground: a small cluster in processes of this machine\n");
  const playground = await startPlayground({ ...flags, logger, progress });
  try {
    if (flags.sample !== undefined) await Promise.race([completeOnce(playground, flags.sample, progress), stop]);
    if (!flags.once) {
      progress.say(howToGoOn(playground, flags));
      await stop;
    }
  } finally {
    progress.running("stopping", "");
    await playground.close();
    logger.flush();
    progress.done("stopped", "nothing is left running");
  }
}

/** The command `llmisvc playground`. Returns the exit code: 0, 1 for a failed start or completion, 2 for wrong flags. */
export async function playground(args: readonly string[]): Promise<number> {
  const flags = await flagsOrExitCode(USAGE, () => readFlags(args));
  if (typeof flags === "number") return flags;
  try {
    await runPlayground(flags);
    return 0;
  } catch (error) {
    process.stderr.write(`playground: ${describeError(error)}\n`);
    return 1;
  }
}
