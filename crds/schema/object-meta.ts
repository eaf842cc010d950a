import type { JsonSchema } from "./types.ts";

const text = (description: string): JsonSchema => ({ type: "string", description });
const time = (description: string): JsonSchema => ({
  type: "string",
  format: "date-time",
  nullable: true,
  description,
});
const textMap = (description: string): JsonSchema => ({
  type: "object",
  description,
  additionalProperties: { type: "string" },
});

const ownerReference: JsonSchema = {
  type: "object",
  required: ["apiVersion", "kind", "name", "uid"],
  "x-kubernetes-map-type": "atomic",
  properties: {
    apiVersion: text("API version of the owner."),
    kind: text("Kind of the owner."),
    name: text("Name of the owner."),
    uid: text("UID of the owner."),
    controller: { type: "boolean", description: "Whether the owner is the managing controller." },
    blockOwnerDeletion: {
      type: "boolean",
      description: "Whether a foreground deletion of the owner waits for this object.",
    },
  },
};

const managedFieldsEntry: JsonSchema = {
  type: "object",
  properties: {
    manager: text("Name of the field manager."),
    operation: text("Apply or Update."),
    apiVersion: text("API version of the field set."),
    time: time("When the field set last changed."),
    fieldsType: text("Format of fieldsV1, always FieldsV1."),
    fieldsV1: {
      type: "object",
      description: "The owned fields.",
      "x-kubernetes-preserve-unknown-fields": true,
    },
    subresource: text("Sub-resource through which the fields were written."),
  },
};

/** Schema of `metadata` of every object (ObjectMeta of meta/v1). */
export const OBJECT_META: JsonSchema = {
  type: "object",
  description: "Standard object metadata.",
  properties: {
    name: text("Name, unique within the namespace (or the cluster, for cluster-scoped kinds)."),
    generateName: text("Prefix from which the server makes a unique name when name is empty."),
    namespace: text("Namespace of the object."),
    selfLink: text("Not used any more."),
    uid: text("Unique identity, set by the server."),
    resourceVersion: text("Opaque version that changes with every write."),
    generation: { type: "integer", format: "int64", description: "Counts the changes of the desired state." },
    creationTimestamp: time("When the object was created, set by the server."),
    deletionTimestamp: time("When deletion was requested."),
    deletionGracePeriodSeconds: {
      type: "integer",
      format: "int64",
      description: "Seconds the object may take to end after deletion was requested.",
    },
    labels: textMap("Key-value pairs to select objects by."),
    annotations: textMap("Key-value pairs for tools; not selectable."),
    ownerReferences: {
      type: "array",
      description: "Objects this one depends on; it is deleted with the last of them.",
      items: ownerReference,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["uid"],
      "x-kubernetes-patch-merge-key": "uid",
      "x-kubernetes-patch-strategy": "merge",
    },
    finalizers: {
      type: "array",
      description: "Must be empty before the object is removed; each entry belongs to one controller.",
      items: { type: "string" },
      "x-kubernetes-list-type": "set",
      "x-kubernetes-patch-strategy": "merge",
    },
    managedFields: {
      type: "array",
      description: "Which field manager owns which fields.",
      items: managedFieldsEntry,
      "x-kubernetes-list-type": "atomic",
    },
  },
};
