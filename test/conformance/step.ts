/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** One request, the same for both servers but for what stands for their own state. */
export interface Step {
  /** What it does, for reports and for the table of known differences: `update configmaps`. */
  readonly label: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `{ns}` stands for the namespace of the scenario. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly contentType?: string;
  readonly accept?: string;
  /** Puts a resourceVersion of the object at this path into the body: the one seen last, or first. */
  readonly version?: { readonly of: string; readonly which: "last" | "first" };
  /** Puts the uid seen last of the object at this path at `preconditions.uid` (delete) or into `ownerReferences[0].uid`. */
  readonly uid?: { readonly of: string; readonly at: "preconditions" | "owner" };
  /** A watch that is read until this many events came or a second passed. */
  readonly watch?: true;
  /** Puts the resourceVersion that the object at this path had first into the query. */
  readonly since?: string;
}

/** Requests in a namespace of their own, sent in order. */
export interface Scenario {
  readonly namespace: string;
  readonly steps: readonly Step[];
}
