import type { Difference } from "./compare.ts";

/** Differences that stay, and why. */
export interface Known {
  /** Of labels of steps. */
  readonly label: RegExp;
  /** Of paths in the answer. */
  readonly path: RegExp;
  /** Of both values, `real / embedded`. */
  readonly values?: RegExp;
  /** Of what both said about a refusal, `real / embedded`. */
  readonly said?: RegExp;
  /** Whether the states of the two servers differ from then on, so that what comes after it tells nothing. */
  readonly diverges?: true;
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
    label: /^discovery \/apis autoscaling$/,
    path: ANY,
    reason: "version 1 of the HorizontalPodAutoscaler is not served by the embedded server",
  },
  {
    label: / widgets$/,
    path: /managedFields\[\]/,
    values: /f:replicas/,
    reason: "who changes replicas of a custom object through scale is recorded there by way of the Scale, and not here",
  },
  {
    label: /^delete pods$/,
    path: /metadata\.finalizers$/,
    values: /foregroundDeletion.* \/ absent$/,
    reason: "a pod that goes at once is shown as it was before; here as it is at the end",
  },
  {
    label: /^delete collection /,
    path: /^body\.metadata\.(continue|remainingItemCount)$/,
    reason: "the real server deletes page by page and tells the token of its own first page",
  },
  {
    label: /^get as text\/html /,
    path: /^body\.details$/,
    reason: "the two servers behind an API server say it in different words",
  },
  {
    label: /^delete (services|secrets)$/,
    path: ANY,
    values: /^absent \/ |^"Secret" \/ "Status"$/,
    reason: "a dry run that would free what waits for foreground deletion is answered with what is left of it there",
  },
  {
    label: / deployments$/,
    path: /managedFields\[\]\.fieldsV1\.f:metadata$/,
    values: /^absent \/ \{"f:labels":\{\}\}$/,
    reason: "who once wrote labels that are all gone is still told here",
  },
  {
    label: /^apply widgets$/,
    path: ANY,
    said: /must be of type object: "null"/,
    diverges: true,
    reason: "a map that an apply leaves without members is null there, which the schema refuses; here it stays empty",
  },
  {
    label: / roles$/,
    path: /rules$|managedFields\[\]$/,
    values: /f:rules|^\{\} \/ absent$|^absent \/ \{\}$|^\[\] \/ null$/,
    reason: "the real server tells an empty list of rules from none until it is stored, and changes owners by that",
  },
  {
    label: /^apply roles$/,
    path: ANY,
    said: /conflict with .*\.rules/,
    diverges: true,
    reason: "see above: whoever wrote an empty list of rules owns it there",
  },
  {
    label: /^list /,
    path: /^body\.metadata\.(continue|remainingItemCount)$/,
    reason: "with a selector the real server looks page by page, and may tell a token that nothing follows",
  },
  {
    label: / services$/,
    path: /spec\.(ipFamilies|ipFamilyPolicy)/,
    reason: "a headless Service without selector speaks both families at a real server; the embedded one knows IPv4",
  },
  {
    label: / deployments$/,
    path: /^body\.(message|details\.causes\[\])/,
    values: /field is immutable|may not be specified/,
    reason:
      "complaints about several fields come in another order; rollingUpdate beside Recreate is not complained about",
  },
  {
    label: / widgets$/,
    path: /^body\.(message|details\.causes(\[\])?)/,
    values: /some validation rules were not checked/,
    reason: "the embedded server checks rules of a schema for whatever is well-formed, and has nothing to leave out",
  },
];

/** Whether a difference is in the table, and if so whether the states of the servers differ from then on. */
export function isKnown({ label, path, real, embedded, said }: Difference): "known" | "diverging" | undefined {
  const known = KNOWN.filter(
    (each) =>
      each.label.test(label) &&
      each.path.test(path) &&
      (each.values?.test(`${real} / ${embedded}`) ?? true) &&
      (each.said?.test(said) ?? true),
  );
  if (known.length === 0) return undefined;
  return known.some(({ diverges }) => diverges === true) ? "diverging" : "known";
}
