import { describeError } from "../../telemetry/log.ts";
import { crds } from "./crds.ts";
import { doctor } from "./doctor/doctor.ts";
import { runLint } from "./lint.ts";
import { playground } from "./playground.ts";
import { presets } from "./presets.ts";
import { render } from "./render.ts";
import { top } from "./top.ts";
import { why } from "./why.ts";

interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /** Runs it with the arguments after its name; resolves to the exit code. What it rejects with is told, with exit code 2. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  playground: { summary: "start everything on this machine", run: playground },
  why: { summary: "tell why a request went where it went", run: why },
  top: { summary: "show the endpoints of services, their load and how often they are picked", run: top },
  doctor: { summary: "name what is wrong in a cluster, why, and what to do", run: doctor },
  render: { summary: "show what the operator makes of services, and what a change changes", run: render },
  presets: { summary: "write the presets of this version as YAML, or list who uses those of a cluster", run: presets },
  lint: { summary: "find everything that is wrong in manifests", run: runLint },
  crds: { summary: "write the CustomResourceDefinitions as YAML", run: crds },
  help: { summary: "show this text", run: help },
};

async function help(): Promise<number> {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  llmisvc ${name.padEnd(12)} ${summary}\n`);
  process.stdout.write(`llmisvc: operator and scheduler for LLMInferenceService

Usage: llmisvc COMMAND [flags]; -h after a command lists its flags

${lines.join("")}`);
  return 0;
}

const [name = "help", ...args] = process.argv.slice(2);
const command = COMMANDS[name.replace(/^--?h(elp)?$/, "help")];
if (command === undefined) {
  process.stderr.write(`unknown command "${name}"; known: ${Object.keys(COMMANDS).join(", ")}\n`);
  process.exitCode = 2;
} else {
  const failed = (error: unknown): number => {
    process.stderr.write(`llmisvc ${name}: ${describeError(error)}\n`);
    return 2;
  };
  process.exit(await command.run(args).catch(failed));
}
