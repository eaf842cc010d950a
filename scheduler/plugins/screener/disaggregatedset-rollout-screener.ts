import { selectorMatches } from "../../../kube/labels.ts";
import type { Cycle, Random } from "../../framework/cycle.ts";
import { choice, list, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keep } from "../filter/keeping.ts";
import { selectorOrText } from "../filter/selector.ts";

const TYPE = "disaggregatedset-rollout-screener";
/** Revisions that get a series. */
const MAX_REVISIONS = 100;
const REVISION_LABEL = "disaggregatedset.x-k8s.io/revision";
const ROLE_LABEL = "disaggregatedset.x-k8s.io/role";

const parameters = object(
  {
    scope: required(object({ labelSelector: required(selectorOrText) })),
    headerSelectors: list(
      object({
        name: required(text({ doc: "Name of the selector.", default: "", nonEmpty: true })),
        headerName: required(text({ doc: "Request and answer header.", default: "", nonEmpty: true })),
        labelKey: required(text({ doc: "Pod label.", default: "", nonEmpty: true })),
        mode: choice({ doc: "Whether other endpoints are refused.", default: "strict", of: ["strict", "prefer"] }),
      }),
      { doc: "Labels that requests may ask for." },
    ),
    revisionGating: required(
      object({
        revisionLabelKey: text({ doc: "Label of the revision.", default: REVISION_LABEL }),
        roleLabelKey: text({ doc: "Label of the role.", default: ROLE_LABEL }),
        mode: choice({ doc: "How revisions share requests.", default: "sum", of: ["sum", "max-role", "disabled"] }),
        requireRoles: object({
          values: list(text({ doc: "A role.", default: "" }), { doc: "Roles of a whole revision." }),
        }),
      }),
    ),
  },
  {
    check: ({ headerSelectors, revisionGating }, path, report) => {
      if (revisionGating.mode !== "disabled" && revisionGating.requireRoles.values.length === 0) {
        const cause = "must list roles unless mode is disabled";
        const at = `${path}.revisionGating.requireRoles.values`;
        report.error({ path: at, value: [], cause, remedy: "list the roles of a whole revision" });
      }
      for (const key of ["name", "headerName"] as const) {
        const values = headerSelectors.map((item) => item[key]);
        if (new Set(values).size === values.length) continue;
        const at = `${path}.headerSelectors`;
        report.error({ path: at, value: values, cause: `${key} is not unique`, remedy: "rename one" });
      }
    },
  },
);
type Gating = (typeof parameters.fallback)["revisionGating"];

/** Endpoints of each revision and role. */
type Counts = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Share of requests that each whole revision gets, in the order of names. */
export function revisionShares(counts: Counts, { mode, requireRoles }: Pick<Gating, "mode" | "requireRoles">) {
  const roles = requireRoles.values;
  const covered = [...counts].filter(([, own]) => roles.every((role) => (own.get(role) ?? 0) > 0));
  const totalOf = (role: string): number => covered.reduce((sum, [, own]) => sum + (own.get(role) ?? 0), 0);
  const largest = roles.reduce((best, role) => (totalOf(role) > totalOf(best) ? role : best), roles[0] ?? "");
  const counted = mode === "max-role" ? [largest] : roles;
  const shares = covered.map(([revision, own]) => {
    const share = counted.reduce((sum, role) => sum + (own.get(role) ?? 0), 0);
    return [revision, share] as const;
  });
  return new Map(shares.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function draw(shares: ReadonlyMap<string, number>, random: Random): string | undefined {
  let left = random.next() * [...shares.values()].reduce((sum, share) => sum + share, 0);
  for (const [revision, share] of shares) if ((left -= share) < 0) return revision;
  return [...shares.keys()].at(-1);
}

/** Spreads requests over the whole revisions of a DisaggregatedSet during a rollout. */
export const disaggregatedsetRolloutScreener = definePlugin({
  type: TYPE,
  kinds: ["screener", "response-header"],
  stability: "alpha",
  description: "Keeps requests of a DisaggregatedSet within one whole revision during a rollout.",
  limits: "revisions are counted over the pool's endpoints, not over pods outside of the pool",
  parameters,
  create: ({ scope, headerSelectors, revisionGating }, context) => {
    const { revisionLabelKey, roleLabelKey, mode } = revisionGating;
    const noMatch = context.metrics.counter({
      name: "llm_d_epp_disaggregatedset_strict_header_no_match_total",
      help: "Requests that asked for a label value that no endpoint has.",
      labels: ["plugin_type", "plugin_name", "selector"],
    });
    const shareOf = context.metrics.gauge({
      name: "llm_d_epp_disaggregatedset_revision_gating_share",
      help: "Share of requests that each whole revision gets.",
      labels: ["plugin_type", "plugin_name", "mode", "revision"],
      maxSeries: MAX_REVISIONS,
    });
    let shown: readonly string[] = [];
    /** Shows the shares of the revisions there are; those of former ones go. */
    const show = (shares: ReadonlyMap<string, number>): void => {
      const total = [...shares.values()].reduce((sum, share) => sum + share, 0);
      for (const revision of shown) if (!shares.has(revision)) shareOf.remove(TYPE, context.name, mode, revision);
      for (const [revision, share] of shares)
        shareOf.labels(TYPE, context.name, mode, revision).set(total === 0 ? 0 : share / total);
      shown = [...shares.keys()];
    };
    const labelsOf = ({ endpoints }: Cycle, slot: number) => endpoints.metadata(slot).labels;
    const count = (cycle: Cycle, slots: Int32Array, length: number): Counts => {
      const counts = new Map<string, Map<string, number>>();
      for (const slot of slots.subarray(0, length)) {
        const labels = labelsOf(cycle, slot);
        const [revision, role] = [labels[revisionLabelKey], labels[roleLabelKey]];
        if (revision === undefined || role === undefined || !selectorMatches(scope.labelSelector, labels)) continue;
        const own = counts.get(revision) ?? new Map<string, number>();
        counts.set(revision, own.set(role, (own.get(role) ?? 0) + 1));
      }
      return counts;
    };
    const gate = (cycle: Cycle, slots: Int32Array, length: number, isStrict: boolean): number => {
      const shares = revisionShares(count(cycle, slots, length), revisionGating);
      show(shares);
      const only = isStrict ? undefined : draw(shares, cycle.random);
      return keep(slots, length, (slot) => {
        const revision = labelsOf(cycle, slot)[revisionLabelKey] ?? "";
        return only === undefined ? shares.has(revision) : revision === only;
      });
    };
    return {
      screen: (cycle, slots, length) => {
        const asked = headerSelectors.filter(({ headerName, mode: how }) => {
          const value = cycle.request.headers.get(headerName.toLowerCase()) ?? "";
          return how === "strict" && value !== "";
        });
        let left = mode === "disabled" ? length : gate(cycle, slots, length, asked.length > 0);
        for (const { name, headerName, labelKey } of asked) {
          const wanted = cycle.request.headers.get(headerName.toLowerCase());
          left = keep(slots, left, (slot) => labelsOf(cycle, slot)[labelKey] === wanted);
          if (left === 0) noMatch.labels(TYPE, context.name, name).inc();
        }
        return left;
      },
      onResponseHeaders: ({ slot, generation }) => {
        if (context.endpoints.generation[slot] !== generation) return undefined;
        const { labels } = context.endpoints.metadata(slot);
        return headerSelectors.flatMap(({ headerName, labelKey }) => {
          const value = labels[labelKey];
          return value === undefined ? [] : [[headerName.toLowerCase(), value] as const];
        });
      },
    };
  },
});
