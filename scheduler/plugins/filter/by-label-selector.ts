import { selectorFilter } from "./selector.ts";

/** Former name of `label-selector-filter`. */
export const byLabelSelector = selectorFilter("by-label-selector", "label-selector-filter");
