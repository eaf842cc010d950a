import { textAt } from "../json.ts";
import type { JsonObject } from "../schema/types.ts";
import type { Collector } from "./findings.ts";

const PREFIX = "serving.kserve.io/exp-dra-";
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The annotations beside that of the device class: what each must be, after blanks around it are gone. */
const OTHERS: readonly { readonly name: string; readonly valid: (text: string) => boolean; readonly rule: string }[] = [
  {
    name: "device-count",
    valid: (text) => text === "" || (/^\+?\d+$/.test(text) && Number(text) >= 1),
    rule: "must be an integer from 1 on",
  },
  { name: "cel-selector", valid: (text) => text !== "", rule: "must hold an expression on at least one line" },
  { name: "container-name", valid: (text) => DNS_LABEL.test(text), rule: "must be the name of a container" },
];

/** Checks the annotations by which a service claims devices (dynamic resource allocation). */
export function checkDevices(found: Collector, object: JsonObject): void {
  const read = (name: string): string | undefined => textAt(object, "metadata", "annotations", PREFIX + name)?.trim();
  const path = (name: string): string => `metadata.annotations[${PREFIX}${name}]`;
  const given = OTHERS.flatMap((other) => {
    const text = read(other.name);
    return text === undefined ? [] : [{ ...other, text }];
  });
  const deviceClass = read("device-class");
  if (deviceClass === undefined && given.length > 0)
    found.add("Required", path("device-class"), "the other annotations of this prefix need it");
  if (deviceClass !== undefined && !DNS_SUBDOMAIN.test(deviceClass))
    found.add("Invalid", path("device-class"), "must be the name of a DeviceClass", deviceClass);
  for (const { name, text, valid, rule } of given) if (!valid(text)) found.add("Invalid", path(name), rule, text);
}
