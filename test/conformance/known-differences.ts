import type { Difference } from "./compare.ts";

/** Differences that stay, and why. */
export interface Known {
  /** Of labels of steps. */
  readonly label: RegExp;
  /** Of paths in the answer. */
  readonly path: RegExp;
  /** Of both values, `real / embedded`. */
  readonly values?: RegExp;
  readonly reason: string;
}

const ANY = /./;

/** What the embedded API server answers otherwise than a real one. */
export const KNOWN: readonly Known[] = [
  {
    label: ANY,
    path: /columnDefinitions\[\]\.description$/,
    reason: "descriptions of columns are not shown by kubectl get",
  },
  {
    label: / pods$/,
    path: /spec\.serviceAccount(Name)?$/,
    values: /^absent \/ "default"$/,
    reason: "the real server of this suite runs without the ServiceAccount admission plugin, which sets it",
  },
  {
    label: / roles$/,
    path: /rules$/,
    values: /^(null \/ \[\]|\{\} \/ absent|absent \/ \{\})$/,
    reason: "the binary encoding of the real store does not tell an empty list from none",
  },
  {
    label: /^delete collection /,
    path: /^body\.metadata\.(continue|remainingItemCount)$/,
    reason: "the real server deletes page by page and tells the token of its own first page",
  },
  {
    label: ANY,
    path: /^body\.(message|details\.causes\[\]\.message)$/,
    values:
      /json: |cannot unmarshal|unrecognized type|strict decoding|in body |typed patch object|yaml:|is registered for version|illegal base64|json parse error|NotAcceptable|Not Acceptable|found '='|labels.Requirement/,
    reason: "words of Go's decoders, which name Go types: the embedded server names field, type and value",
  },
  {
    label: /^json patch /,
    path: /^body\.message$/,
    values: /error in our request"? \/ "the server rejected our request due to an error in our request: /,
    reason: "the embedded server says what does not fit",
  },
  {
    label: / pods$/,
    path: /^body\.(message|details\.causes\[\]\.(message|field))$/,
    values: /pod updates may not/,
    reason: "the real server prints the difference as Go structures",
  },
  {
    label: ANY,
    path: /^body\.(message|details\.causes(\[\])?)$/,
    values: /metadata\.(labels|annotations|finalizers)|verbs must contain/,
    reason: "the real server tells errors in metadata of an update twice, once for each of its two checks",
  },
  {
    label: ANY,
    path: /metadata\.resourceVersion$/,
    values: /^"<version \d+>" \/ "<version \d+>"$/,
    reason:
      "a write that changes only times of ownership, or only who owns what, may give a new version on one side alone",
  },
  {
    label: /^(merge|strategic|json) patch |^patch scale /,
    path: /^body\.details/,
    reason: "a patch of the wrong type is told about the patch as a whole by the real server, about its field by ours",
  },
  {
    label: / pods$/,
    path: /^body\.details\.causes\[\]\.field$/,
    reason: "the real server tells added and removed containers apart from other changes",
  },
  {
    label: / pods$/,
    path: /managedFields\[\]\.fieldsV1\.f:spec$/,
    reason: "an entry that owns nothing but an empty list of containers is kept",
  },
  {
    label: /^list /,
    path: /^body\.metadata\.(continue|remainingItemCount)$/,
    reason: "with a selector the real server looks page by page, and may tell a token that nothing follows",
  },
  {
    label: /^apply /,
    path: /managedFields\[\]\.time$/,
    values: /^absent /,
    reason: "the real server leaves the time out of the entry of an apply that makes an object by a dry run",
  },
  {
    label: /^get as text\/html /,
    path: /^body\.details$/,
    reason: "the two servers behind an API server say it in different words",
  },
  {
    label: / services$/,
    path: /spec\.(ipFamilies|ipFamilyPolicy)/,
    reason: "a headless Service without selector speaks both families at a real server; the embedded one knows IPv4",
  },
  {
    label: / services$/,
    path: /^warnings|sessionAffinityConfig|(f:|spec\.)ports$/,
    reason: "session affinity is nothing the playground has; an empty list of ports is kept as written",
  },
  {
    label: / services$/,
    path: ANY,
    values: /resourceVersion should not be set|^(201 \/ 500|absent \/ 500)$/,
    reason: "the real server lets a Service be created with a version, unlike all else",
  },
  {
    label: /^create odd services$/,
    path: /^body/,
    reason: "see above: what follows from the refusal",
  },
  {
    label: /^watch pods$/,
    path: /^body\[\]$/,
    reason: "the real server deletes a pod in two steps, and a watch sees both",
  },
  {
    label: / deployments$/,
    path: /^body\.(message|details\.causes\[\])/,
    values: /field is immutable|may not be specified/,
    reason:
      "complaints about several fields come in another order; rollingUpdate beside Recreate is not complained about",
  },
  {
    label: /^patch status /,
    path: /labels|managedFields/,
    reason:
      "labels in a write to status: dropped here for all kinds; kept for built-in kinds and owned for custom ones there",
  },
  {
    label: ANY,
    path: /managedFields\[\]\.time$/,
    values: /^absent /,
    reason: "times of entries are not always told by the real server",
  },
  {
    label: / deployments$/,
    path: /managedFields\[\]\.subresource$/,
    values: /"scale"/,
    reason: "who changes replicas through scale is recorded for the sub-resource there, for the object here",
  },
  {
    label: ANY,
    path: /^warnings/,
    values: / \/ (\[\]|absent)$/,
    reason: "warnings that come with a refusal are not sent",
  },
  {
    label: / widgets$/,
    path: /^(code|body\.(code|reason|message|details))$/,
    values: /500|409|Conflict|conflict|duplicate/,
    reason: "an apply with two elements of one key is refused before conflicts are looked for there, after it here",
  },
  {
    label: /Table roles$/,
    path: /columnDefinitions|cells/,
    reason: "kubectl shows the age of a Role here, and the time of its creation there",
  },
  {
    label: / secrets$/,
    path: ANY,
    values: /^((4\d\d|500) \/ 20[01])$|base64|^"Status"|^"Failure"|^absent \/|\/ absent$/,
    reason: "data that is no base64 is taken here, so that recorded objects with placeholders can be applied",
  },
  {
    label: /^apply odd /,
    path: ANY,
    values: /conflict|409|does not match the name|BadRequest/,
    reason: "the real server compares the name in the body with the URL after it has looked for conflicts",
  },
  {
    label: / widgets$/,
    path: /^body\.(message|details\.causes(\[\])?)/,
    values: /some validation rules were not checked/,
    reason: "the embedded server checks rules of a schema for whatever is well-formed, and has nothing to leave out",
  },
];

/** Whether a difference is in the table. */
export function isKnown({ label, path, real, embedded }: Difference): boolean {
  return KNOWN.some(
    (known) =>
      known.label.test(label) && known.path.test(path) && (known.values?.test(`${real} / ${embedded}`) ?? true),
  );
}
