import { definePlugin } from "../../framework/plugin.ts";
import { anyOf, drawing, pickerParameters } from "./draw.ts";

/** Takes any endpoint. */
export const randomPicker = definePlugin({
  type: "random-picker",
  kinds: ["picker"],
  stability: "beta",
  description: "Takes any endpoint, whatever it scores.",
  parameters: pickerParameters,
  create: (given) => drawing(anyOf, given),
});
