import { describe } from "@jest/globals";
import { type ComponentName, haveComponents } from "./toolbox.ts";

/** `describe` for tests of real components: left out with a word where they are not installed, unless `CI=true`. */
export function describeWith(what: string, ...names: readonly ComponentName[]): typeof describe.skip {
  return haveComponents(what, ...names) ? describe : describe.skip;
}
