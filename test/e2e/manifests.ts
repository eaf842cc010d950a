/** A service with a scheduler, and what differs from test to test. */
export interface ServiceOptions {
  readonly replicas?: number;
  /** Arguments of the model server, of the simulator's flags. */
  readonly engineArgs?: readonly string[];
  /** Arguments of the scheduler; default the verbosity that explains decisions. */
  readonly schedulerArgs?: readonly string[];
}

/** Manifest of a routed service named `name` that serves the model `name`, in JSON, which is YAML. */
export function routedService(name: string, options: ServiceOptions = {}): string {
  return JSON.stringify({
    apiVersion: "serving.kserve.io/v1alpha2",
    kind: "LLMInferenceService",
    metadata: { name, namespace: "default" },
    spec: {
      model: { uri: "hf://facebook/opt-125m", name },
      replicas: options.replicas ?? 1,
      router: {
        route: {},
        gateway: {},
        scheduler: { template: { containers: [{ name: "main", args: options.schedulerArgs ?? ["--v=4"] }] } },
      },
      template: { containers: [{ name: "main", args: options.engineArgs ?? [] }] },
    },
  });
}
