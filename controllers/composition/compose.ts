import type { ComposeInput, Composition } from "./types.ts";

/** The effective spec of a service: presets, then base refs in order, then its own spec, rendered and completed. */
export function compose(input: ComposeInput): Composition {
  throw new Error(`not reached: ${input.service.metadata.name}`);
}
