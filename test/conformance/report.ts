/** Prints what two servers answer differently: `bin/node test/conformance/report.ts [--count N] [--length N] [--seed N] [--all]`. */
import { parseArgs } from "node:util";
import { KNOWN, isKnown } from "./known-differences.ts";
import type { Difference } from "./compare.ts";
import { compareServers } from "./suite.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10" },
    length: { type: "string", default: "25" },
    seed: { type: "string", default: "1" },
    all: { type: "boolean", default: false },
  },
});
const { requests, differences } = await compareServers({
  seed: Number(values.seed),
  count: Number(values.count),
  length: Number(values.length),
});
const shown = values.all ? differences : differences.filter((difference) => isKnown(difference) === undefined);
const groups = new Map<string, Difference[]>();
for (const difference of shown) {
  const key = `${difference.label} | ${difference.path}`;
  groups.set(key, [...(groups.get(key) ?? []), difference]);
}
for (const [key, members] of [...groups].sort((a, b) => b[1].length - a[1].length)) {
  const [first] = members;
  console.log(`${String(members.length).padStart(5)}  ${key}`);
  console.log(`         real     ${first!.real.slice(0, 400)}`);
  console.log(`         embedded ${first!.embedded.slice(0, 400)}`);
}
console.log(
  `${requests} requests, ${differences.length} differences, ${shown.length} shown, ${KNOWN.length} known kinds`,
);
