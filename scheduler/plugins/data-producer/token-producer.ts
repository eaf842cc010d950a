import { tokenProducerType } from "./token-producer-type.ts";

/** Turns prompts into tokens. */
export const tokenProducer = tokenProducerType("token-producer");
