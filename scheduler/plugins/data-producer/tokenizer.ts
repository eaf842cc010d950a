import { tokenProducerType } from "./token-producer-type.ts";

/** Former name of `token-producer`. */
export const tokenizer = tokenProducerType("tokenizer", "token-producer");
