import type { KubeClient } from "../../kube/client.ts";
import type { KubeObject } from "../../kube/types.ts";
import { describeError, type Logger } from "../../telemetry/log.ts";
import type { Authorize, Verdict } from "./metrics-server.ts";

const TOKEN_TTL_MS = 60_000;
const ALLOW_TTL_MS = 300_000;
const DENY_TTL_MS = 30_000;
const REVIEW_TIMEOUT_MS = 10_000;
/** Tokens, and decisions, that are remembered. */
const MAX_REMEMBERED = 1000;

/**
 * Authorization by the cluster, as `kubectl get --raw` has it: a TokenReview finds the user, a SubjectAccessReview for the
 * non-resource URL tells whether it may read. Decisions are remembered: users for 1 min, permissions for 5 min, denials for 30 s.
 */
export function createMetricsAuth(client: KubeClient, logger: Logger, now: () => number): Authorize {
  const users = new Expiring<User | undefined>(now);
  const permissions = new Expiring<boolean>(now);
  return async (token, path, verb) => {
    if (token === "") return UNAUTHORIZED;
    try {
      const user = await users.get(
        token,
        () => reviewToken(client, token),
        () => TOKEN_TTL_MS,
      );
      if (user === undefined) return UNAUTHORIZED;
      const key = JSON.stringify([user, path, verb]);
      const ttl = (allowed: boolean): number => (allowed ? ALLOW_TTL_MS : DENY_TTL_MS);
      const allowed = await permissions.get(key, () => reviewAccess(client, user, path, verb), ttl);
      if (allowed) return { allowed: true };
      return { allowed: false, status: 403, message: `Authorization denied for user ${user.username}` };
    } catch (error) {
      logger.error("cannot ask the cluster who may read metrics", { error: describeError(error) });
      return { allowed: false, status: 500, message: "Authentication failed" };
    }
  };
}

const UNAUTHORIZED: Verdict = { allowed: false, status: 401, message: "Unauthorized" };

interface User {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
}

/** Values that are asked for anew after a while; the oldest make room. */
class Expiring<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly until: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  async get(key: string, load: () => Promise<T>, ttlMs: (value: T) => number): Promise<T> {
    const known = this.#entries.get(key);
    if (known !== undefined && known.until > this.#now()) return known.value;
    const value = await load();
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: this.#now() + ttlMs(value) });
    if (this.#entries.size > MAX_REMEMBERED) this.#entries.delete([...this.#entries.keys()][0]!);
    return value;
  }
}

async function review(client: KubeClient, object: KubeObject): Promise<Readonly<Record<string, unknown>>> {
  const answer = await client.create(object, { signal: AbortSignal.timeout(REVIEW_TIMEOUT_MS) });
  return isRecord(answer.status) ? answer.status : {};
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

async function reviewToken(client: KubeClient, token: string): Promise<User | undefined> {
  const status = await review(client, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    metadata: { name: "" },
    spec: { token },
  });
  if (status.authenticated !== true || !isRecord(status.user)) return undefined;
  const { username, uid, groups } = status.user;
  return {
    username: text(username),
    uid: text(uid),
    groups: Array.isArray(groups) ? groups.filter((group): group is string => typeof group === "string") : [],
  };
}

async function reviewAccess(client: KubeClient, user: User, path: string, verb: string): Promise<boolean> {
  const status = await review(client, {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    metadata: { name: "" },
    spec: { user: user.username, uid: user.uid, groups: user.groups, nonResourceAttributes: { path, verb } },
  });
  return status.allowed === true;
}
