import { DEFAULT_PRESET_PREFIX } from "../controllers/composition/presets.ts";
import { asJson } from "../controllers/llminferenceservice/pass.ts";
import { type Operator, startOperator } from "../controllers/operator.ts";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { foreignDefinitions } from "../crds/foreign.ts";
import { textAt } from "../crds/json.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Clock, systemClock } from "../kube/clock.ts";
import { type HttpKubeClient, createKubeClient } from "../kube/http-client.ts";
import type { ClusterAccess } from "../kube/http-transport.ts";
import { KINDS, type Resource } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { until, untilStill } from "../playground/until.ts";
import { silentLogger } from "../telemetry/log.ts";
import { type BedServer, SERVER, startBedServer } from "./bed-server.ts";
import { referenceDefinitions } from "./cluster/definitions.ts";
import { SYSTEM_NAMESPACE } from "./composition.ts";
import { createGateway, createNamespaces, publishWebhooks } from "./installation.ts";

type OnAnswer = (method: string, path: string, status: number) => void;

/** One answered request of the operator. */
export interface Answered {
  /** Identity of the operator. */
  readonly by: string | undefined;
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  readonly status: number;
}

/** What operators of a bed differ in. */
export interface BedOperatorOptions {
  /** Takes part in leader election under that name; default is to lead without. */
  readonly identity?: string;
  /** Time of the election and of repetitions; default is the machine's, and without election a hundred times as fast. */
  readonly clock?: Clock;
  /** What it has in place of its client. */
  readonly client?: (client: KubeClient) => KubeClient;
}

/** An operator of a bed. */
export interface BedOperator extends Operator {
  /** Lets it die when it has been answered that many further requests: no request leaves it any more, others are cut. */
  dieAfter(answers: number): void;
  /** Resolves when that many answers have come. */
  readonly died: Promise<void>;
  /** Dies if it has not yet, and resolves when nothing of it is left in this process. */
  die(): Promise<void>;
}

/** An API server with what a cluster has before the operator comes, and garbage collection. */
export interface OperatorBed {
  readonly client: HttpKubeClient;
  /** Everything that operators were answered so far. */
  readonly answered: Answered[];
  /** Starts an operator in this process, whose wall clock stands still so that what it writes can be compared. */
  start(options?: BedOperatorOptions): Promise<BedOperator>;
  /** Resolves when operators sent nothing for `quietMs`. Rejects after two minutes. */
  quiet(quietMs?: number): Promise<void>;
  /** Resolves when operators are idle and nothing is under way any more. Rejects after two minutes. */
  rest(): Promise<void>;
  /** Ends all operators in order. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** What a bed is made of besides namespaces. */
export interface BedOptions {
  /** Kinds of other projects that are not installed; default none. */
  readonly without?: readonly string[];
}

/** Starts a bed with the namespaces, on the API server that suites are to run against. */
export async function startBed(namespaces: readonly string[], options: BedOptions = {}): Promise<OperatorBed> {
  const without = new Set(options.without);
  const server = await startBedServer(bedDefinitions().filter((definition) => !without.has(definedKind(definition))));
  const traffic = { answers: 0 };
  const client = createKubeClient(server.access, { onAnswer: () => void traffic.answers++ });
  await createNamespaces(client, namespaces);
  if (!without.has(KINDS.Gateway.kind)) await createGateway(client);
  return new Bed(server, client, traffic);
}

/** Repetitions come soon: a hundredth of their time. */
const HURRIED: Clock = { ...systemClock, after: (delayMs, run) => systemClock.after(delayMs / 100, run) };

const LIMIT_MS = 60_000;

/** An operator in this process, and the death that awaits it. */
class MortalOperator implements BedOperator {
  readonly #access: ClusterAccess;
  readonly #host: string;
  readonly #client: HttpKubeClient;
  readonly #onEnd: () => void;
  readonly #death = Promise.withResolvers<void>();
  #operator: Operator | undefined;
  #answersLeft = Number.POSITIVE_INFINITY;
  #dead = false;

  constructor({ access, host }: BedServer, onAnswer: OnAnswer, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#host = host;
    this.#access = {
      getCurrentCluster: () => (this.#dead ? null : access.getCurrentCluster()),
      applyToHTTPSOptions: (options) => access.applyToHTTPSOptions(options),
    };
    this.#client = createKubeClient(this.#access, {
      onAnswer: (method, path, status) => {
        onAnswer(method, path, status);
        if (--this.#answersLeft <= 0) this.#end();
      },
    });
  }

  async start({ identity, clock, client }: BedOperatorOptions): Promise<void> {
    this.#operator = await startOperator({
      client: client?.(this.#client) ?? this.#client,
      settings: { systemNamespace: SYSTEM_NAMESPACE, clusterDomain: "cluster.local", wildcardHostname: "inference" },
      presets: { prefix: DEFAULT_PRESET_PREFIX, pinned: true },
      images: {},
      protectPresets: true,
      webhook: { host: this.#host, port: 0 },
      identity,
      logger: silentLogger,
      wallMs: () => NOW_MS,
      clock: clock ?? (identity === undefined ? HURRIED : systemClock),
    });
  }

  get ready(): boolean {
    return this.#operator?.ready === true;
  }

  get idle(): boolean {
    return this.#operator?.idle === true;
  }

  get webhookPort(): number {
    return this.#operator?.webhookPort ?? 0;
  }

  dieAfter(answers: number): void {
    this.#answersLeft = answers;
  }

  get died(): Promise<void> {
    return this.#death.promise;
  }

  async die(): Promise<void> {
    this.#end();
    await this.close();
  }

  async close(): Promise<void> {
    this.#onEnd();
    await this.#operator?.close();
    this.#client.close();
  }

  #end(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#client.close();
    this.#death.resolve();
  }
}

class Bed implements OperatorBed {
  readonly client: HttpKubeClient;
  readonly answered: Answered[] = [];
  readonly #server: BedServer;
  readonly #traffic: { readonly answers: number };
  readonly #operators = new Set<MortalOperator>();
  readonly #patience = { timeoutMs: LIMIT_MS, detail: () => JSON.stringify(this.answered.slice(-5)) };

  constructor(server: BedServer, client: HttpKubeClient, traffic: { readonly answers: number }) {
    this.#server = server;
    this.client = client;
    this.#traffic = traffic;
  }

  async start(options: BedOperatorOptions = {}): Promise<BedOperator> {
    const by = options.identity;
    const onAnswer: OnAnswer = (method, path, status) => void this.answered.push({ by, method, path, status });
    const operator = new MortalOperator(this.#server, onAnswer, () => void this.#operators.delete(operator));
    await operator.start(options);
    await publishWebhooks(this.client, { host: this.#server.host, port: operator.webhookPort, server: SERVER });
    this.#operators.add(operator);
    return operator;
  }

  async quiet(quietMs = 150): Promise<void> {
    await untilStill("silence of operators", quietMs, () => this.answered.length, { ...this.#patience, pollMs: 10 });
  }

  async rest(): Promise<void> {
    let [count, silent] = [-1, 0];
    const isSilent = (): boolean => {
      const now = this.answered.length + this.#traffic.answers;
      const idle = now === count && [...this.#operators].every((operator) => operator.idle);
      [count, silent] = [now, idle ? silent + 1 : 0];
      return silent >= this.#server.silentTurns;
    };
    await until("rest of operators", isSilent, { ...this.#patience, pollMs: 1 });
  }

  async stop(): Promise<void> {
    for (const operator of this.#operators) await operator.close();
  }

  async close(): Promise<void> {
    await this.stop();
    this.client.close();
    await this.#server.close();
  }
}

/** The wall clock of operators under test. */
const NOW_MS = Date.parse("2026-01-01T00:00:00Z");

/** Kinds of projects whose definitions say nothing that matters here. */
const FURTHER: readonly Resource[] = [
  KINDS.PodMonitor,
  KINDS.ServiceMonitor,
  KINDS.DestinationRule,
  KINDS.BackendTLSPolicy,
];

function outline({ apiVersion, kind, plural }: Resource): KubeObject {
  const [group = "", name = ""] = apiVersion.split("/");
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: KINDS.CustomResourceDefinition.apiVersion,
    kind: KINDS.CustomResourceDefinition.kind,
    metadata: { name: `${plural}.${group}`, annotations: { "api-approved.kubernetes.io": "unapproved, for tests" } },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name, served: true, storage: true, schema, subresources: { status: {} } }],
    },
  };
}

/** Definitions of every kind that services are made of; those of other projects as their releases have them. */
export function bedDefinitions(): readonly KubeObject[] {
  const ours = [...customResourceDefinitions(), ...foreignDefinitions()] as unknown as KubeObject[];
  const known = new Set(ours.map(({ metadata }) => metadata.name));
  return [
    ...ours,
    ...[...referenceDefinitions(), ...FURTHER.map(outline)].filter(({ metadata }) => !known.has(metadata.name)),
  ];
}

/** The kind that a definition defines. */
export function definedKind(definition: KubeObject): string {
  return textAt(asJson(definition), "spec", "names", "kind") ?? "";
}
