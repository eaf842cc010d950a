import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { printTable } from "./bench.ts";

/** What `--cpu-prof` writes: nodes of a call tree, and the node that ran at each sample. */
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

const FUNCTIONS_SHOWN = 25;

/** Prints where a process spent its time, by source folder and by function. The bundle tells which line is of which file. */
export function printProfile(folder: string, bundle: string): void {
  const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error(`no profile in ${folder}`);
  const profile = JSON.parse(readFileSync(join(folder, file), "utf8")) as Profile;
  const sourceOf = sourceByLine(readFileSync(bundle, "utf8"));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of profile.samples.entries()) {
    const node = nodes.get(id);
    const micros = profile.timeDeltas[index] ?? 0;
    if (node === undefined || node.callFrame.functionName === "(idle)") continue;
    busy += micros;
    add(functions, `${node.callFrame.functionName} ${sourceOf(node)}`, micros);
    add(parts, partOf(node, nodes, parents, sourceOf), micros);
  }
  const rows = (shares: ReadonlyMap<string, number>, most: number): string[][] =>
    [...shares]
      .sort((a, b) => b[1] - a[1])
      .slice(0, most)
      .map(([name, micros]) => [name, `${((micros / busy) * 100).toFixed(1)} %`]);
  printTable([["part (with what it calls in Node.js)", "CPU"], ...rows(parts, 30)]);
  printTable([["function alone", "CPU"], ...rows(functions, FUNCTIONS_SHOWN)]);
}

const add = (shares: Map<string, number>, name: string, micros: number): void =>
  void shares.set(name, (shares.get(name) ?? 0) + micros);

/** The source file of a node; "" for what is not of the bundle. */
type SourceOf = (node: ProfileNode) => string;

/** esbuild puts a comment with the file's path before the code of each file. */
function sourceByLine(bundle: string): SourceOf {
  const lines = bundle.split("\n");
  let current = "";
  const sources = lines.map((line) => (current = /^\/\/ (\S+\.[cm]?[jt]s)$/.exec(line)?.[1] ?? current));
  return ({ callFrame: { url, lineNumber } }) => (url.endsWith(".mjs") ? (sources[lineNumber] ?? "") : "");
}

/** The folder of the nearest caller that is ours. */
function partOf(
  node: ProfileNode,
  nodes: ReadonlyMap<number, ProfileNode>,
  parents: ReadonlyMap<number, number>,
  sourceOf: SourceOf,
): string {
  if (node.callFrame.functionName.startsWith("(")) return node.callFrame.functionName;
  for (let at: ProfileNode | undefined = node; at !== undefined; at = nodes.get(parents.get(at.id) ?? -1)) {
    const source = sourceOf(at);
    if (source !== "") return source.startsWith("node_modules") ? "packages" : source.split("/").slice(0, -1).join("/");
  }
  return "Node.js alone";
}
