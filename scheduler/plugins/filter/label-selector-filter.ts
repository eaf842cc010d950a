import { selectorFilter } from "./selector.ts";

/** Keeps endpoints that a label selector matches. */
export const labelSelectorFilter = selectorFilter("label-selector-filter");
