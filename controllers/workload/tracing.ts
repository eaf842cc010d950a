import type { JsonObject } from "../../crds/schema/types.ts";
import { objectAt, textAt } from "../../crds/json.ts";
import { stringsOf } from "../json-edit.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { MAIN_CONTAINER, editContainer, env, withEnv } from "./pod.ts";

/** Service names under which components report spans (KServe v0.20). */
export const TRACED = {
  decode: "inference-server-decode",
  prefill: "inference-server-prefill",
  scheduler: "inference-scheduler",
} as const;

const fieldEnv = (name: string, fieldPath: string): JsonObject => ({
  name,
  valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } },
});

/** Whether arguments hold a flag, as an element of its own or with `=value`; one or two leading dashes. */
export function hasFlag(args: readonly string[], flag: string): boolean {
  return args.some((arg) => /^--?[^=]+/.exec(arg)?.[0].replace(/^--?/, "") === flag);
}

/** OpenTelemetry environment of one component; empty without `spec.tracing`. */
export function tracingEnv(pass: Pass, component: string): readonly JsonObject[] {
  const tracing = objectAt(pass.spec, "tracing");
  const endpoint = textAt(tracing, "exporterEndpoint") ?? "";
  if (tracing === undefined || endpoint === "") return [];
  const [node, pod] = ["OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"];
  const attributes = [
    `k8s.namespace.name=${pass.namespace}`,
    `k8s.node.name=$(${node})`,
    `k8s.pod.name=$(${pod})`,
    `llmisvc.name=${pass.name}`,
  ];
  return [
    env("OTEL_SERVICE_NAME", component),
    env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
    env("OTEL_TRACES_EXPORTER", textAt(tracing, "exporter") ?? ""),
    env("OTEL_TRACES_SAMPLER", textAt(tracing, "sampler") ?? ""),
    env("OTEL_TRACES_SAMPLER_ARG", textAt(tracing, "samplerArg") ?? ""),
    fieldEnv(node, "spec.nodeName"),
    fieldEnv(pod, "metadata.name"),
    env("OTEL_RESOURCE_ATTRIBUTES", attributes.join(",")),
  ];
}

/** The pod spec with tracing switched on in the model server, where the service asks for it. */
export function withServerTracing(pass: Pass, pod: JsonObject, component: string): JsonObject {
  const variables = tracingEnv(pass, component);
  if (variables.length === 0) return pod;
  const endpoint = textAt(pass.spec, "tracing", "exporterEndpoint") ?? "";
  return editContainer(pod, MAIN_CONTAINER, (main) => {
    const args = stringsOf(main["args"]);
    const added = [
      ...(hasFlag(args, "otlp-traces-endpoint") ? [] : ["--otlp-traces-endpoint", endpoint]),
      ...(hasFlag(args, "collect-detailed-traces") ? [] : ["--collect-detailed-traces", "all"]),
    ];
    return withEnv({ ...main, args: [...args, ...added] }, variables);
  });
}
