import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, objectAt } from "../../crds/json.ts";
import { compact, named, stringMapOf, stringsOf } from "../json-edit.ts";
import {
  COMPONENTS,
  COMPONENT_LABEL,
  SCHEDULER_POD_COMPONENT,
  type StringMap,
  componentLabels,
  matchesLabels,
} from "../labels.ts";
import { type Pass, child, ownedChild } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";
import { replicasOf } from "../workload/parts.ts";
import { MAIN_CONTAINER, editContainer, withEnv } from "../workload/pod.ts";
import { TRACED, hasFlag, tracingEnv } from "../workload/tracing.ts";
import { configArguments, configTextOf, sameConfig } from "./config.ts";
import { tokenizerUrl } from "./tokenizer-address.ts";
import { type Release, VERSION_ANNOTATION, parseRelease } from "./release.ts";
import { TOKENIZER_MODEL_PATH, withTokenizerModel } from "./tokenizer-model.ts";
import { TOKENIZER_CONTAINER, upgradedScheduler } from "./upgrade.ts";

const LEADER_FLAG = "ha-enable-leader-election";

/** Reason of the condition when the scheduler's objects cannot be built. */
export const SCHEDULER_ERROR = "SchedulerReconcileError";

/**
 * Labels that select the scheduler's pods. A Deployment adopted from KServe has an immutable selector, which its pods must go
 * on matching; a fresh one gets the label value that the documented log command selects on.
 */
export function schedulerPodLabels(pass: Pass): StringMap {
  const live = ownedChild(pass, KINDS.Deployment, pass.names.scheduler);
  const selector = stringMapOf(objectAt(live, "spec", "selector", "matchLabels"));
  const adopted = selector[COMPONENT_LABEL] === COMPONENTS.scheduler;
  return componentLabels(pass.name, adopted ? COMPONENTS.scheduler : SCHEDULER_POD_COMPONENT);
}

function selectorOf(live: JsonObject | undefined, podLabels: StringMap, fresh: StringMap): StringMap {
  const current = stringMapOf(objectAt(live, "spec", "selector", "matchLabels"));
  return Object.keys(current).length > 0 && matchesLabels(podLabels, current) ? current : fresh;
}

function mainArguments(pass: Pass, main: JsonObject, livePod: JsonObject | undefined, release: Release): string[] {
  const own = stringsOf(main["args"]);
  const replicas = replicasOf(objectAt(pass.spec, "router", "scheduler") ?? {}) ?? 1;
  const traced = tracingEnv(pass, TRACED.scheduler).length > 0;
  return [
    ...own,
    ...(replicas > 1 && !hasFlag(own, LEADER_FLAG) ? [`--${LEADER_FLAG}`] : []),
    ...configArguments(pass, livePod, release),
    ...(traced && !hasFlag(own, "tracing") ? ["--tracing=true"] : []),
  ];
}

/** A live text that means the same stays, so that a reformatted one restarts nothing. */
function withLiveText(pod: JsonObject, livePod: JsonObject | undefined): JsonObject {
  const [live, wanted] = [configTextOf(livePod), configTextOf(pod)];
  if (live === undefined || wanted === undefined || live === wanted || !sameConfig(live, wanted)) return pod;
  return editContainer(pod, MAIN_CONTAINER, (main) => ({
    ...main,
    args: stringsOf(main["args"]).map((arg) => (arg === wanted ? live : arg)),
  }));
}

/** Releases that run the tokenizer beside the scheduler, in its own pod, read the model's files there. */
function withTokenizerFiles(pass: Pass, pod: JsonObject, livePod: JsonObject | undefined): JsonObject {
  if (named(pod["containers"], TOKENIZER_CONTAINER) === undefined) return pod;
  const target = { container: TOKENIZER_CONTAINER, path: TOKENIZER_MODEL_PATH, adapters: false };
  return withTokenizerModel(pass, pod, { livePod, target, reason: SCHEDULER_ERROR });
}

function podSpec(pass: Pass, template: JsonObject, livePod: JsonObject | undefined): JsonObject {
  const version = stringMapOf(at(pass.spec, "router", "scheduler", "annotations"))[VERSION_ANNOTATION];
  const release = parseRelease(version, SCHEDULER_ERROR);
  const configured = editContainer(template, MAIN_CONTAINER, (main) => {
    const args = mainArguments(pass, main, livePod, release);
    return withEnv(args.length === 0 ? main : { ...main, args }, tracingEnv(pass, TRACED.scheduler));
  });
  const upgraded = upgradedScheduler(configured, { release, tokenizerUrl: tokenizerUrl(pass) });
  return withTokenizerFiles(pass, withLiveText(upgraded, livePod), livePod);
}

/** The scheduler's Deployment, where the operator runs one. */
export function buildSchedulerDeployment(pass: Pass): readonly KubeObject[] {
  const scheduler = objectAt(pass.spec, "router", "scheduler");
  const template = objectAt(scheduler, "template");
  if (!runsScheduler(pass) || template === undefined) return [];
  const live = ownedChild(pass, KINDS.Deployment, pass.names.scheduler);
  const fixed = schedulerPodLabels(pass);
  const labels = { ...stringMapOf(at(scheduler, "labels")), ...fixed };
  const annotations = stringMapOf(at(scheduler, "annotations"));
  const metadata = { name: pass.names.scheduler, labels: componentLabels(pass.name, COMPONENTS.scheduler) };
  return [
    child(pass, KINDS.Deployment, metadata, {
      spec: compact({
        // Nothing scales schedulers: a number that the spec no longer states goes back to 1, unless a person set it.
        replicas: replicasOf(scheduler ?? {}),
        strategy: { type: "Recreate" },
        selector: { matchLabels: { ...selectorOf(live, labels, fixed) } },
        template: {
          metadata: compact({
            labels: { ...labels },
            annotations: Object.keys(annotations).length > 0 ? { ...annotations } : undefined,
          }),
          spec: podSpec(pass, template, objectAt(live, "spec", "template", "spec")),
        },
      }),
    }),
  ];
}
