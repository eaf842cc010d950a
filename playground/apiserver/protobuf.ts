import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { unsupportedMediaType } from "./errors.ts";
import { isObject, textOf } from "./objects.ts";

/** Media type in which kubectl's typed commands (`kubectl create namespace` …) send objects. */
export const PROTOBUF = "application/vnd.kubernetes.protobuf";

/** How a single value is read; an object is a nested message. Zero is absent in an `int`, and a value in a `pointer`. */
type ValueType = "string" | "bytes" | "int" | "pointer" | "bool" | "intOrString" | Message;
/** How a field is read; `[x]` is a repeated field. */
type FieldType = ValueType | "textMap" | "bytesMap" | "skip" | readonly [ValueType];

/** Fields of a message by their numbers (the `generated.proto` files of k8s.io/api). */
interface Message {
  readonly [number: number]: readonly [name: string, type: FieldType];
}

const META: Message = {
  1: ["name", "string"],
  2: ["generateName", "string"],
  3: ["namespace", "string"],
  4: ["selfLink", "string"],
  5: ["uid", "string"],
  6: ["resourceVersion", "string"],
  7: ["generation", "int"],
  8: ["creationTimestamp", "skip"],
  11: ["labels", "textMap"],
  12: ["annotations", "textMap"],
  14: ["finalizers", ["string"]],
};
const metadata = ["metadata", META] as const;
const status = ["status", "skip"] as const;

const RULE: Message = {
  1: ["verbs", ["string"]],
  2: ["apiGroups", ["string"]],
  3: ["resources", ["string"]],
  4: ["resourceNames", ["string"]],
  5: ["nonResourceURLs", ["string"]],
};
const ROLE: Message = { 1: metadata, 2: ["rules", [RULE]] };
const BINDING: Message = {
  1: metadata,
  2: [
    "subjects",
    [{ 1: ["kind", "string"], 2: ["apiGroup", "string"], 3: ["name", "string"], 4: ["namespace", "string"] }],
  ],
  3: ["roleRef", { 1: ["apiGroup", "string"], 2: ["kind", "string"], 3: ["name", "string"] }],
};
const CONTAINER: Message = {
  1: ["name", "string"],
  2: ["image", "string"],
  3: ["command", ["string"]],
  4: ["args", ["string"]],
  5: ["workingDir", "string"],
  6: [
    "ports",
    [{ 1: ["name", "string"], 2: ["hostPort", "int"], 3: ["containerPort", "int"], 4: ["protocol", "string"] }],
  ],
  7: ["env", [{ 1: ["name", "string"], 2: ["value", "string"] }]],
  8: ["resources", {}],
  14: ["imagePullPolicy", "string"],
};
const POD_SPEC: Message = {
  2: ["containers", [CONTAINER]],
  3: ["restartPolicy", "string"],
  14: ["securityContext", {}],
};
const DEPLOYMENT: Message = {
  1: metadata,
  2: [
    "spec",
    {
      1: ["replicas", "pointer"],
      2: ["selector", { 1: ["matchLabels", "textMap"] }],
      3: ["template", { 1: metadata, 2: ["spec", POD_SPEC] }],
      4: ["strategy", { 1: ["type", "string"] }],
    },
  ],
  3: status,
};
const SERVICE: Message = {
  1: metadata,
  2: [
    "spec",
    {
      1: [
        "ports",
        [
          {
            1: ["name", "string"],
            2: ["protocol", "string"],
            3: ["port", "int"],
            4: ["targetPort", "intOrString"],
            5: ["nodePort", "int"],
          },
        ],
      ],
      2: ["selector", "textMap"],
      3: ["clusterIP", "string"],
      4: ["type", "string"],
      10: ["externalName", "string"],
    },
  ],
  3: status,
};
const ATTRIBUTES: Message = {
  1: ["namespace", "string"],
  2: ["verb", "string"],
  3: ["group", "string"],
  4: ["version", "string"],
  5: ["resource", "string"],
  6: ["subresource", "string"],
  7: ["name", "string"],
};
const ACCESS_REVIEW: Message = {
  1: metadata,
  2: [
    "spec",
    {
      1: ["resourceAttributes", ATTRIBUTES],
      2: ["nonResourceAttributes", { 1: ["path", "string"], 2: ["verb", "string"] }],
    },
  ],
  3: status,
};

const KINDS: Readonly<Record<string, Message>> = {
  "v1/Namespace": { 1: metadata, 2: ["spec", { 1: ["finalizers", ["string"]] }], 3: status },
  "v1/ConfigMap": { 1: metadata, 2: ["data", "textMap"], 3: ["binaryData", "bytesMap"], 4: ["immutable", "bool"] },
  "v1/Secret": {
    1: metadata,
    2: ["data", "bytesMap"],
    3: ["type", "string"],
    4: ["stringData", "textMap"],
    5: ["immutable", "bool"],
  },
  "v1/ServiceAccount": { 1: metadata },
  "v1/Service": SERVICE,
  "apps/v1/Deployment": DEPLOYMENT,
  "rbac.authorization.k8s.io/v1/Role": ROLE,
  "rbac.authorization.k8s.io/v1/ClusterRole": ROLE,
  "rbac.authorization.k8s.io/v1/RoleBinding": BINDING,
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": BINDING,
  "authorization.k8s.io/v1/SelfSubjectAccessReview": ACCESS_REVIEW,
  "authentication.k8s.io/v1/SelfSubjectReview": { 1: metadata, 2: status },
};

/** Envelope of every message: the bytes `k8s\0`, then `runtime.Unknown`. */
const MAGIC = Buffer.from("k8s\0");
const TYPE: Message = { 1: ["apiVersion", "string"], 2: ["kind", "string"] };

interface Field {
  readonly number: number;
  /** The value of a varint; the length of others is in `bytes`. */
  readonly value: number;
  readonly bytes: Buffer;
}

const broken = () => unsupportedMediaType("the protobuf message is damaged");

function varint(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0n;
  for (let index = at, shift = 0n; index < bytes.length && shift < 70n; index++, shift += 7n) {
    const byte = bytes[index]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value: Number(BigInt.asIntN(64, value)), next: index + 1 };
  }
  throw broken();
}

/** The fields of a message in their order. Errors: 415 for damage and for fixed-width fields, which no kind here has. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  for (let at = 0; at < bytes.length; ) {
    const tag = varint(bytes, at);
    const number = tag.value >>> 3;
    const first = varint(bytes, tag.next);
    if ((tag.value & 7) === 0) {
      yield { number, value: first.value, bytes: Buffer.alloc(0) };
      at = first.next;
    } else {
      const end = first.next + first.value;
      if ((tag.value & 7) !== 2 || first.value < 0 || end > bytes.length) throw broken();
      yield { number, value: 0, bytes: bytes.subarray(first.next, end) };
      at = end;
    }
  }
}

function decodeMessage(bytes: Buffer, message: Message, path: string): JsonObject {
  const result: JsonObject = {};
  for (const field of fieldsOf(bytes)) {
    const known = message[field.number];
    if (known === undefined) {
      if (field.bytes.length === 0 && field.value === 0) continue;
      throw unsupportedMediaType(
        `field ${field.number} of ${path} is not read in protobuf; send JSON (kubectl … --dry-run=client -o yaml | kubectl apply -f -)`,
      );
    }
    setField(result, known[0], known[1], field, path);
  }
  return result;
}

function setField(target: JsonObject, name: string, type: FieldType, field: Field, path: string): void {
  if (type === "skip") return;
  if (type === "textMap" || type === "bytesMap") {
    const entry = decodeMessage(
      field.bytes,
      { 1: ["key", "string"], 2: ["value", type === "textMap" ? "string" : "bytes"] },
      path,
    );
    const map = isObject(target[name]) ? target[name] : {};
    map[textOf(entry["key"])] = textOf(entry["value"]);
    target[name] = map;
  } else if (isRepeated(type)) {
    const list = Array.isArray(target[name]) ? target[name] : [];
    list.push(valueOf(type[0], field, `${path}.${name}`));
    target[name] = list;
  } else {
    const value = valueOf(type, field, `${path}.${name}`);
    const absent = value === "" || (value === 0 && type !== "pointer");
    if (!absent) target[name] = value;
  }
}

const isRepeated = (type: FieldType): type is readonly [ValueType] => Array.isArray(type);

function valueOf(type: ValueType, field: Field, path: string): Json {
  switch (type) {
    case "string":
      return field.bytes.toString("utf8");
    case "bytes":
      return field.bytes.toString("base64");
    case "int":
    case "pointer":
      return field.value;
    case "bool":
      return field.value !== 0;
    case "intOrString": {
      const value = decodeMessage(
        field.bytes,
        { 1: ["type", "int"], 2: ["number", "int"], 3: ["text", "string"] },
        path,
      );
      return value["type"] === 1 ? textOf(value["text"]) : (value["number"] ?? 0);
    }
    default:
      return decodeMessage(field.bytes, type, path);
  }
}

/**
 * Decodes an object from Kubernetes' protobuf, for the kinds that kubectl's typed commands create. Errors: 415 for other
 * kinds and for fields outside the table, so that nothing is lost in silence.
 */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw broken();
  let [type, raw]: [JsonObject, Buffer] = [{}, Buffer.alloc(0)];
  for (const field of fieldsOf(body.subarray(MAGIC.length))) {
    if (field.number === 1) type = decodeMessage(field.bytes, TYPE, "type");
    if (field.number === 2) raw = field.bytes;
  }
  const [apiVersion, kind] = [textOf(type["apiVersion"]), textOf(type["kind"])];
  const message = KINDS[`${apiVersion}/${kind}`];
  if (message === undefined)
    throw unsupportedMediaType(`${kind} of ${apiVersion} is not read in protobuf; send application/json`);
  return { apiVersion, kind, ...decodeMessage(raw, message, kind) };
}
