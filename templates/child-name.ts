import { createHash } from "node:crypto";

const MAX_LENGTH = 63;
const HEAD_LENGTH = 31;

const md5Hex = (text: string): string => createHash("md5").update(text).digest("hex");

const bytes = (text: string): Buffer => Buffer.from(text, "utf8");

/** What a Service may be called (RFC 1035 label), but for its length. */
const SERVICE_NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUM_LENGTH = 8;

/**
 * What children are named after: the parent's own name, unless no Service could be called so (`qwen2.5`, `7b`), in which case
 * it is made of letters, digits and hyphens, with a sum that keeps it from another's. KServe's children are refused then.
 */
export function childParent(name: string): string {
  if (name === "" || SERVICE_NAME.test(name)) return name;
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  return `${/^[a-z]/.test(plain) ? "" : "s-"}${plain.replaceAll(/^-|-$/g, "")}-${md5Hex(name).slice(0, SUM_LENGTH)}`;
}

/**
 * Name of a child object: `parent + suffix` where that has at most 63 bytes, else shortened around an MD5 sum. The same
 * text as knative's `kmeta.ChildName`, so that objects made by KServe are found again.
 */
export function childName(parent: string, suffix: string): string {
  const [parentBytes, suffixBytes] = [bytes(parent), bytes(suffix)];
  if (parentBytes.length + suffixBytes.length <= MAX_LENGTH) return parent + suffix;
  if (suffixBytes.length < HEAD_LENGTH) {
    const head = parentBytes.subarray(0, HEAD_LENGTH - suffixBytes.length).toString("utf8");
    return head + md5Hex(parent) + suffix;
  }
  const head = parentBytes.subarray(0, HEAD_LENGTH).toString("utf8") + md5Hex(parent + suffix);
  const tail = suffixBytes.subarray(0, Math.max(0, MAX_LENGTH - bytes(head).length)).toString("utf8");
  return (head + tail).replace(/[^0-9A-Za-z]+$/, "");
}
