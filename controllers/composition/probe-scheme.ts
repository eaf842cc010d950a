import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import type { Layer } from "./merge.ts";
import type { CompositionWarning } from "./types.ts";

/** Annotation of a service, `"true"`: its probes stay as written. */
export const KEEP_PROBES_ANNOTATION = "serving.kserve.io/keep-probe-scheme";

const PROBES = ["livenessProbe", "readinessProbe", "startupProbe"] as const;
const MAIN = "main";

/** Pod specs of a service, as paths from its spec. */
const PODS: readonly (readonly string[])[] = [["template"], ["worker"], ["prefill", "template"], ["prefill", "worker"]];

function mainOf(spec: JsonObject, path: readonly string[]): JsonObject | undefined {
  return listAt(spec, ...path, "containers").find(
    (container): container is JsonObject => textAt(container, "name") === MAIN,
  );
}

function servesPort(container: JsonObject, port: Json | undefined): boolean {
  return listAt(container, "ports").some(
    (entry) => isObject(entry) && (entry["containerPort"] === port || (entry["name"] === port && port !== undefined)),
  );
}

/** A spec whose probes speak the scheme of the server, and what was changed for that. */
export interface ProbeCorrection {
  readonly spec: JsonObject;
  readonly warnings: readonly CompositionWarning[];
}

function editMain(spec: JsonObject, path: readonly string[], edit: (main: JsonObject) => JsonObject): JsonObject {
  const [key, ...rest] = path;
  if (key !== undefined) {
    const next = spec[key];
    return isObject(next) ? { ...spec, [key]: editMain(next, rest, edit) } : spec;
  }
  const containers = listAt(spec, "containers").map((container) =>
    isObject(container) && container["name"] === MAIN ? edit(container) : container,
  );
  return { ...spec, containers };
}

class Correction {
  readonly #scheme: string;
  readonly warnings: CompositionWarning[] = [];

  constructor(tls: boolean) {
    this.#scheme = tls ? "HTTPS" : "HTTP";
  }

  #probe(container: JsonObject, probe: string, path: string): JsonObject {
    const request = objectAt(container, probe, "httpGet");
    const given = textAt(request, "scheme") ?? "HTTP";
    if (request === undefined || given === this.#scheme || !servesPort(container, request["port"])) return container;
    this.warnings.push({
      reason: "ProbeSchemeCorrected",
      message: `${path}.${probe}.httpGet.scheme: ${given} would fail, the server speaks ${this.#scheme} (enableLLMInferenceServiceTLS); ${this.#scheme} is used. Annotation ${KEEP_PROBES_ANNOTATION}: "true" keeps it`,
    });
    return { ...container, [probe]: { ...objectAt(container, probe), httpGet: { ...request, scheme: this.#scheme } } };
  }

  main(container: JsonObject, path: string): JsonObject {
    return PROBES.reduce((current, probe) => this.#probe(current, probe, path), container);
  }
}

/**
 * Lets HTTP probes of the serving port speak what the presets' server speaks: many published manifests say HTTPS while TLS is
 * off, and their pods would be restarted for ever. A `main` container with a command of its own is left alone.
 */
export function correctProbeSchemes(spec: JsonObject, userLayers: readonly Layer[], tls: boolean): ProbeCorrection {
  const correction = new Correction(tls);
  const corrected = PODS.reduce((current, path) => {
    const ownCommand = userLayers.some((layer) => listAt(mainOf(layer.spec, path), "command").length > 0);
    if (ownCommand || mainOf(current, path) === undefined) return current;
    const field = `spec.${path.join(".")}.containers[${MAIN}]`;
    return editMain(current, path, (main) => correction.main(main, field));
  }, spec);
  return { spec: corrected, warnings: correction.warnings };
}
