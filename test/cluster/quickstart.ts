import { writeFileSync } from "node:fs";
import { type Recorded, STEPS, quickstartPage } from "./quickstart-steps.ts";
import type { UserShell } from "./user-shell.ts";
import { walkThrough } from "./walkthrough.ts";

const USAGE = `test/cluster/in-network.sh bin/node test/cluster/quickstart.ts [--output FILE] [-v]

Installs the chart with helm on a real Kubernetes and sends a completion through a real Envoy, command by command as a user
would. Writes the transcript as a page. -v shows the log of pods and gateway when something fails.
`;

async function record(shell: UserShell): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
  for (const command of STEPS.flatMap(({ commands }) => commands))
    recorded.push({ command, output: await shell.run(command) });
  return recorded;
}

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(USAGE);
} else {
  const at = args.indexOf("--output");
  const output = at < 0 ? undefined : args[at + 1];
  await walkThrough({
    name: "quickstart",
    verbose: args.includes("-v"),
    run: async (cluster, shell) => {
      await cluster.startNode();
      const page = quickstartPage(await record(shell));
      if (output !== undefined) writeFileSync(output, page);
    },
  });
}
