import { type PlainValue, YamlError, parseYaml } from "../../kube/yaml.ts";

/** A longer text is no configuration, and reading it would hold up requests. */
export const MAX_CONFIG_TEXT = 256 * 1024;

/** Reads the text of an EndpointPickerConfig. Errors: `YamlError`, also for a text that is too long. */
export function parseConfigText(text: string): PlainValue {
  if (text.length > MAX_CONFIG_TEXT)
    throw new YamlError(
      `${text.length} characters are too many for a configuration: at most ${MAX_CONFIG_TEXT}`,
      undefined,
    );
  return parseYaml(text);
}
