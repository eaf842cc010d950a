/** Runs benches by name: `bench/<name>.ts`, each exporting a `Bench` as default. Without a name all are run in turn. */
import { readdirSync } from "node:fs";
import type { Bench } from "./support/bench.ts";

const here = new URL(".", import.meta.url);
const known = readdirSync(here)
  .filter((file) => file.endsWith(".ts") && file !== "run.ts")
  .map((file) => file.slice(0, -3))
  .sort();

async function load(name: string): Promise<Bench> {
  const module = (await import(new URL(`${name}.ts`, here).href)) as { readonly default: Bench };
  return module.default;
}

async function list(): Promise<void> {
  for (const name of known) console.log(`  ${name.padEnd(12)} ${(await load(name)).description}`);
}

/** Instead of the scale at which figures say something. */
const SMALLEST = "--smallest";

const args = process.argv.slice(2);
const options = args.filter((arg) => arg.startsWith("--") && arg !== SMALLEST);
const names = args.filter((arg) => !arg.startsWith("--"));
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0 || args.includes("--help")) {
  for (const name of unknown) console.error(`no bench is called ${name}`);
  console.log(`Benches (make bench ARGS="NAME --option=value"; ${SMALLEST}: only to see that they work):`);
  await list();
  process.exit(unknown.length > 0 ? 2 : 0);
}
for (const name of names.length > 0 ? names : known) {
  console.log(`\n# ${name}`);
  const bench = await load(name);
  await bench.run([...(args.includes(SMALLEST) ? bench.smallest : []), ...options]);
}
