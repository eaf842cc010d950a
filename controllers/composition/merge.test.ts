import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { JsonObject } from "../../crds/schema/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { isObject } from "../../crds/json.ts";
import { LayerError, mergeLayers } from "./merge.ts";

function spec(text: string): JsonObject {
  const value = parseYaml(text);
  return isObject(value) ? value : {};
}

const merge = (...texts: readonly string[]): JsonObject =>
  mergeLayers(texts.map((text, index) => ({ label: `layer ${index}`, spec: spec(text) })));

/** A pod with one container `main` of these fields. */
const main = (fields: string): string => `template: {containers: [{name: main, ${fields}}]}`;
const fallback = (failures: string): string =>
  `scaling: {keda: {fallback: {failureThreshold: ${failures}, replicas: 2}}}`;
const pod = (fields: string): string => `template: {${fields}}`;

/** Base, override, result. */
const CASES: readonly (readonly [string, string, string, string])[] = [
  ["nothing", "{}", "{}", "{}"],
  ["one layer only", "replicas: 1", "{}", "replicas: 1"],
  ["scalars", "{model: {uri: u1}, replicas: 1}", "{model: {uri: u2}, replicas: 2}", "{model: {uri: u2}, replicas: 2}"],
  ["a name that is not given stays", "model: {uri: u, name: n}", "model: {uri: u2}", "model: {uri: u2, name: n}"],
  ["replicas zero counts", "replicas: 3", "replicas: 0", "replicas: 0"],
  ["replicas absent", "replicas: 3", "{}", "replicas: 3"],
  [
    "containers by name",
    "template: {containers: [{name: main, image: i1, resources: {requests: {cpu: 1}}}], initContainers: [{name: c}]}",
    main("image: i2, resources: {requests: {cpu: 2}}"),
    "template: {containers: [{name: main, image: i2, resources: {requests: {cpu: 2}}}], initContainers: [{name: c}]}",
  ],
  [
    "resources by key",
    main("resources: {requests: {cpu: 1, memory: 1Gi}}"),
    main("resources: {requests: {cpu: 2}, limits: {gpu: 1}}"),
    main("resources: {requests: {cpu: 2, memory: 1Gi}, limits: {gpu: 1}}"),
  ],
  [
    "a reference replaces a value",
    main('env: [{name: A, value: "1"}]'),
    main("env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]"),
    main("env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]"),
  ],
  [
    "one reference replaces another",
    main("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
    main("env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]"),
    main("env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]"),
  ],
  [
    "new variables go before the first shared one",
    main('env: [{name: A, value: "1"}, {name: B, value: "2"}]'),
    main('env: [{name: C, value: "3"}, {name: A, value: "9"}]'),
    main('env: [{name: C, value: "3"}, {name: A, value: "9"}, {name: B, value: "2"}]'),
  ],
  ["arguments are replaced", main("args: [a, b]"), main("args: [c]"), main("args: [c]")],
  ["no arguments keep", main("args: [a, b]"), main("args: []"), main("args: [a, b]")],
  [
    "other containers join",
    pod("containers: [{name: busybox}]"),
    pod("containers: [{name: busybox-2}]"),
    pod("containers: [{name: busybox-2}, {name: busybox}]"),
  ],
  ["no containers keep", pod("containers: [{name: x}]"), pod("containers: []"), pod("containers: [{name: x}]")],
  [
    "tolerations are replaced",
    pod("tolerations: [{key: t1}]"),
    pod("tolerations: [{key: t2}]"),
    pod("tolerations: [{key: t2}]"),
  ],
  ["prefill joins", "replicas: 2", "prefill: {replicas: 1}", "{replicas: 2, prefill: {replicas: 1}}"],
  [
    "prefill merges deeply",
    "prefill: {template: {containers: [{name: main, image: i1}]}}",
    "prefill: {template: {containers: [{name: main, resources: {requests: {cpu: 1}}}]}}",
    "prefill: {template: {containers: [{name: main, image: i1, resources: {requests: {cpu: 1}}}]}}",
  ],
  ["a worker joins", "{}", "worker: {containers: [{name: main}]}", "worker: {containers: [{name: main}]}"],
  ["parallelism", "parallelism: {tensor: 1}", "parallelism: {data: 4}", "parallelism: {tensor: 1, data: 4}"],
  [
    "route spec and references",
    "router: {route: {http: {spec: {rules: [{name: a}]}}}}",
    "router: {route: {http: {refs: [{name: r}]}}}",
    "router: {route: {http: {spec: {rules: [{name: a}]}, refs: [{name: r}]}}}",
  ],
  [
    "pool",
    "router: {scheduler: {pool: {spec: {selector: {matchLabels: {a: x}}, targetPorts: [{number: 8000}], endpointPickerRef: {name: x, port: {number: 9002}}}}}}",
    "router: {scheduler: {pool: {spec: {selector: {matchLabels: {b: y}}, targetPorts: [{number: 8001}], endpointPickerRef: {name: y}}}}}",
    "router: {scheduler: {pool: {spec: {selector: {matchLabels: {a: x, b: y}}, targetPorts: [{number: 8001}], endpointPickerRef: {name: y, port: {number: 9002}}}}}}",
  ],
  [
    "adapters are replaced",
    "model: {lora: {maxRank: 16, adapters: [{name: x}]}}",
    "model: {lora: {adapters: [{name: y}]}}",
    "model: {lora: {maxRank: 16, adapters: [{name: y}]}}",
  ],
  [
    "an empty gateway keeps",
    "router: {gateway: {refs: [{name: g}]}}",
    "router: {gateway: {}}",
    "router: {gateway: {refs: [{name: g}]}}",
  ],
  ["empty tracing keeps", "tracing: {sampler: s}", "tracing: {}", "tracing: {sampler: s}"],
  [
    "empty label values count",
    'labels: {a: "1", b: "2"}',
    'labels: {b: "", c: "3"}',
    'labels: {a: "1", b: "", c: "3"}',
  ],
  ["node selector", pod("nodeSelector: {a: x}"), pod("nodeSelector: {b: y}"), pod("nodeSelector: {a: x, b: y}")],
  [
    "ports by number",
    main("ports: [{containerPort: 8000, protocol: TCP}]"),
    main("ports: [{containerPort: 8000, name: http}]"),
    main("ports: [{containerPort: 8000, name: http, protocol: TCP}]"),
  ],
  [
    "the protocol is no part of a port's key",
    main("ports: [{containerPort: 53, protocol: TCP}]"),
    main("ports: [{containerPort: 53, protocol: UDP}]"),
    main("ports: [{containerPort: 53, protocol: UDP}]"),
  ],
  [
    "mounts by path",
    main("volumeMounts: [{mountPath: /home, name: home}]"),
    main("volumeMounts: [{mountPath: /home, name: h2}]"),
    main("volumeMounts: [{mountPath: /home, name: h2}]"),
  ],
  [
    "a volume of the same source",
    pod("volumes: [{name: dshm, emptyDir: {medium: Memory, sizeLimit: 1Gi}}]"),
    pod("volumes: [{name: dshm, emptyDir: {sizeLimit: 10Gi}}]"),
    pod("volumes: [{name: dshm, emptyDir: {medium: Memory, sizeLimit: 10Gi}}]"),
  ],
  [
    "another source of a volume",
    pod("volumes: [{name: dshm, emptyDir: {medium: Memory}}]"),
    pod("volumes: [{name: dshm, hostPath: {path: /x}}]"),
    pod("volumes: [{name: dshm, hostPath: {path: /x}}]"),
  ],
  [
    "capabilities are replaced list by list",
    main("securityContext: {capabilities: {add: [IPC_LOCK], drop: [ALL]}}"),
    main("securityContext: {capabilities: {add: [SYS_PTRACE]}}"),
    main("securityContext: {capabilities: {add: [SYS_PTRACE], drop: [ALL]}}"),
  ],
  [
    "a probe keeps its handler",
    main("livenessProbe: {httpGet: {path: /h}, periodSeconds: 10, failureThreshold: 10}"),
    main("livenessProbe: {initialDelaySeconds: 30, failureThreshold: 5}"),
    main("livenessProbe: {httpGet: {path: /h}, periodSeconds: 10, initialDelaySeconds: 30, failureThreshold: 5}"),
  ],
  [
    "another handler of a probe",
    main("livenessProbe: {httpGet: {path: /h}, periodSeconds: 10}"),
    main("livenessProbe: {exec: {command: [x]}}"),
    main("livenessProbe: {exec: {command: [x]}, periodSeconds: 10}"),
  ],
  [
    "false counts where Go has a pointer",
    main("securityContext: {runAsNonRoot: true}"),
    main("securityContext: {runAsNonRoot: false}"),
    main("securityContext: {runAsNonRoot: false}"),
  ],
  [
    "false does not count where Go has none",
    "parallelism: {data: 4, expert: true}",
    "parallelism: {expert: false}",
    "parallelism: {data: 4, expert: true}",
  ],
  [
    "spread constraints by topology",
    pod("topologySpreadConstraints: [{topologyKey: z, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]"),
    pod("topologySpreadConstraints: [{topologyKey: z, maxSkew: 2, whenUnsatisfiable: ScheduleAnyway}]"),
    pod("topologySpreadConstraints: [{topologyKey: z, maxSkew: 2, whenUnsatisfiable: ScheduleAnyway}]"),
  ],
  [
    "the later scheduler configuration as a whole",
    "router: {scheduler: {config: {inline: {plugins: [{type: a}], x: 1}}}}",
    "router: {scheduler: {config: {inline: {plugins: [{type: b}]}}}}",
    "router: {scheduler: {config: {inline: {plugins: [{type: b}]}}}}",
  ],
  [
    "an empty worker keeps",
    "worker: {containers: [{name: main}]}",
    "worker: {}",
    "worker: {containers: [{name: main}]}",
  ],
  [
    "an empty value keeps",
    main('env: [{name: A, value: "1"}]'),
    main('env: [{name: A, value: ""}]'),
    main('env: [{name: A, value: "1"}]'),
  ],
  ["zero counts where it is always written", "{}", fallback("0"), fallback("0")],
  ["zero of a fallback goes over a number", fallback("3"), fallback("0"), fallback("0")],
  [
    "empty values of a volume's settings count",
    "{}",
    pod('volumes: [{name: v, csi: {driver: d, readOnly: false, volumeAttributes: {a: ""}}}]'),
    pod('volumes: [{name: v, csi: {driver: d, readOnly: false, volumeAttributes: {a: ""}}}]'),
  ],
  [
    "a label with an empty value selects",
    "{}",
    pod('topologySpreadConstraints: [{topologyKey: z, labelSelector: {matchLabels: {a: ""}}}]'),
    pod('topologySpreadConstraints: [{topologyKey: z, labelSelector: {matchLabels: {a: ""}}}]'),
  ],
  [
    "scorers by name",
    "router: {scheduler: {scorerPlugins: [{name: a, weight: 1}, {name: b}]}}",
    "router: {scheduler: {scorerPlugins: [{name: a, weight: 0}]}}",
    "router: {scheduler: {scorerPlugins: [{name: a, weight: 0}, {name: b}]}}",
  ],
  ["null removes", "tracing: {sampler: s}", "tracing: null", "{}"],
  [
    "a deletion removes an element",
    pod("containers: [{name: a}, {name: b}]"),
    pod("containers: [{name: a, $patch: delete}]"),
    pod("containers: [{name: b}]"),
  ],
];

describe("merging layers", () => {
  test.each(CASES)("%s", (_name, base, override, expected) => {
    expect(merge(base, override)).toEqual(spec(expected));
  });

  test.each([
    ["a b c", "c x", "a b c x"],
    ["a b c", "x c", "x a b c"],
    ["a b c", "c a", "b c a"],
    ["a b c", "x y", "x y a b c"],
    ["a b c", "b x a", "b x a c"],
    ["a b", "a y b", "a y b"],
  ])("order of %j and %j is %j", (base, override, expected) => {
    const list = (names: string): string =>
      pod(
        `containers: [${names
          .split(" ")
          .map((name) => `{name: ${name}}`)
          .join(", ")}]`,
      );
    expect(merge(list(base), list(override))).toEqual(spec(list(expected)));
  });

  test("an element without its key names layer and field", () => {
    const run = (): JsonObject => merge("{}", "template: {containers: [{image: x}]}");
    expect(run).toThrow(LayerError);
    expect(run).toThrow('layer 1: spec.template.containers[0]: list element lacks its merge key "name"');
  });

  test("a merge is idempotent and leaves its inputs alone", () => {
    const layer = fc.constantFrom(
      ...CASES.flatMap(([, base, override]) => [base, override]).filter((text) => !text.includes("$patch")),
    );
    fc.assert(
      fc.property(fc.array(layer, { maxLength: 4 }), (texts) => {
        const once = merge(...texts);
        const before = JSON.stringify(once);
        expect(
          mergeLayers([
            { label: "a", spec: once },
            { label: "b", spec: once },
          ]),
        ).toEqual(once);
        expect(JSON.stringify(once)).toBe(before);
      }),
    );
  });
});
