import { crds } from "./crds.ts";
import { playground } from "./playground.ts";

const USAGE = `llmisvc: operator and scheduler for LLMInferenceService

Usage:
  llmisvc playground [flags]   start everything on this machine; -h lists the flags
  llmisvc crds                 write the CustomResourceDefinitions as YAML
  llmisvc help                 show this text
`;

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  playground,
  crds,
  help: async () => {
    process.stdout.write(USAGE);
    return 0;
  },
};

const [name = "help", ...args] = process.argv.slice(2);
const command = COMMANDS[name.replace(/^--?h(elp)?$/, "help")];
if (command === undefined) {
  process.stderr.write(`unknown command "${name}"; known: ${Object.keys(COMMANDS).join(", ")}\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  process.exit(await command(args));
}
