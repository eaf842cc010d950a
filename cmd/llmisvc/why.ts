import { parseArgs } from "node:util";
import type { DecisionSummary } from "../../scheduler/request/decision-log.ts";
import type { CandidateTrace, DecisionTrace, ProfileTrace } from "../../scheduler/scheduling/trace.ts";
import { findSchedulers, QUERY_OPTIONS, QUERY_USAGE, type SchedulerPages } from "./scheduler-pages.ts";
import { print } from "./output.ts";
import { formatTable } from "./table.ts";

const USAGE = `llmisvc why: tells why a request went where it went

Usage:
  llmisvc why REQUEST_ID [flags]    one request, by its x-request-id
  llmisvc why [flags]               the newest requests

Each scheduler remembers its last requests. To keep one for longer, send it with the header "x-llm-d-explain: true".

Flags:
  --service NAME             schedulers of this service alone
${QUERY_USAGE}
  -o, --output FORMAT        text or json (default text)
  -h, --help                 show this text

Exit code: 0, 1 when no scheduler remembers the request, 2 for a wrong call or a scheduler that cannot be asked.
`;

/** Runs the command; resolves to the exit code. Rejects for a wrong call, or a scheduler that cannot be asked. */
export async function why(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...QUERY_OPTIONS,
      service: { type: "string", multiple: true, default: [] },
      output: { type: "string", short: "o", default: "text" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return await shown(USAGE);
  const schedulers = await findSchedulers(values, values.service);
  const json = values.output === "json";
  const [id] = positionals;
  return id === undefined ? await listNewest(schedulers, json) : await explain(schedulers, id, json);
}

async function shown(text: string): Promise<number> {
  await print(text);
  return 0;
}

async function explain(schedulers: readonly SchedulerPages[], id: string, json: boolean): Promise<number> {
  const path = `/debug/decisions?id=${encodeURIComponent(id)}`;
  const answers = await Promise.all(schedulers.map(async ({ read }) => await read(path)));
  const at = answers.findIndex((answer) => answer !== undefined);
  if (at === -1) {
    const asked = schedulers.map(({ name }) => name).join(", ");
    process.stderr.write(`no decision about request "${id}" is remembered by ${asked}\n`);
    return 1;
  }
  const trace = answers[at] as DecisionTrace;
  return await shown(
    json ? `${JSON.stringify(trace, undefined, 2)}\n` : describeTrace(trace, schedulers[at]?.name ?? ""),
  );
}

interface Listed {
  readonly decisions: readonly DecisionSummary[];
}

async function listNewest(schedulers: readonly SchedulerPages[], json: boolean): Promise<number> {
  const pages = await Promise.all(
    schedulers.map(async ({ read }) => (await read("/debug/decisions?limit=20")) as Listed),
  );
  const decisions = pages.flatMap((page) => page.decisions).sort((a, b) => (a.time < b.time ? 1 : -1));
  if (json) return await shown(`${JSON.stringify(decisions, undefined, 2)}\n`);
  const rows = decisions.map(({ requestId, time, model, candidates, destinations, refusal }) => [
    time,
    requestId,
    model,
    String(candidates),
    refusal ?? destinations.join(","),
  ]);
  return await shown(formatTable(["TIME", "REQUEST", "MODEL", "CANDIDATES", "DESTINATION"], rows));
}

const ANY_GOOD = "a request without a body: any ready endpoint was good, and chance decided";

/** A trace as text for people. */
export function describeTrace(trace: DecisionTrace, scheduler: string): string {
  const { requestId, time, model, targetModel, priority, fairnessId, refusal, destinations, profiles } = trace;
  const models = targetModel === model ? model : `${model}, rewritten to ${targetModel}`;
  const outcome = refusal === undefined ? `sent to ${destinations.join(", ")}` : `refused: ${refusal.message}`;
  const head = [
    `request ${requestId} at ${time}, decided by ${scheduler}`,
    `model ${models}, priority ${priority}, fairness id ${fairnessId}`,
    outcome,
  ];
  const screened = trace.screenedOut.length === 0 ? [] : [`screened out before: ${trace.screenedOut.join(", ")}`];
  const drawn = profiles.length === 0 && refusal === undefined ? [ANY_GOOD] : [];
  const runs = profiles.map((profile) => describeProfile(profile, profile.profile === trace.primary));
  return `${[...head, ...drawn, ...screened].join("\n")}\n${runs.map((text) => `\n${text}`).join("")}`;
}

const FRESHNESS = {
  "all-fresh": "",
  "stale-left-out": "Endpoints with stale metrics were left out.",
  "mostly-stale": "Most metrics were stale, so all endpoints competed with their last values.",
} as const;

function describeProfile(profile: ProfileTrace, primary: boolean): string {
  const { scorers, picker, ties, targets, randomState, filters, freshness, candidates } = profile;
  const head = [
    "ENDPOINT",
    "QUEUE",
    "RUNNING",
    "KV",
    "AGE",
    ...scorers.map(({ plugin, weight }) => `${plugin}×${weight}`),
  ];
  const rows = candidates.map((candidate) => rowOf(candidate, scorers.length));
  const left = filters.map(({ plugin, left }) => `${plugin} left ${left}`);
  const chance =
    ties > 1 ? ` ${ties} shared the highest total; chance decided (state ${randomState ?? "unknown"}).` : "";
  const picked =
    targets.length === 0
      ? "Nothing was picked."
      : `${picker?.plugin ?? "the first"} picked ${targets.join(", ")}.${chance}`;
  const lines = [left.join(", "), FRESHNESS[freshness], profile.refusal?.message ?? picked].filter(
    (line) => line !== "",
  );
  return `profile ${profile.profile}${primary ? " (its pick counts)" : ""}: ${candidates.length} candidates\n${formatTable([...head, "TOTAL", "VERDICT"], rows)}${lines.join("\n")}\n`;
}

function rowOf({ endpoint, inputs, scores, total, verdict }: CandidateTrace, scorers: number): readonly string[] {
  const { waiting, running, kvUsage, ageMs } = inputs;
  const weighted = scores?.map((score) => short(score.weighted)) ?? Array.from({ length: scorers }, () => "");
  const age = ageMs === null ? "never" : `${Math.round(ageMs)}ms`;
  const sum = total === undefined ? "" : short(total);
  return [endpoint, String(waiting), String(running), `${Math.round(kvUsage * 100)}%`, age, ...weighted, sum, verdict];
}

const short = (value: number): string => String(Math.round(value * 1e4) / 1e4);
