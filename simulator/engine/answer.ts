import type { Random } from "./random.ts";
import { splitPieces } from "./tokens.ts";

const SENTENCES: readonly string[] = [
  "The harbour lights went on one by one.",
  "A kettle sang in the next room.",
  "Nobody had counted the steps before.",
  "Every map leaves something out.",
  "Rain kept time on the tin roof.",
  "She wrote the answer on the back of a ticket.",
  "The train was early for once.",
  "Seven kites held the evening up.",
  "An old dog watched the ferry leave.",
  "The bread was still warm at noon.",
  "Somewhere a piano was being tuned.",
  "They agreed to meet where the river bends.",
];

/** How long an answer may get and what it says. */
export interface AnswerOptions {
  /** Limit that the request states. */
  readonly maxTokens: number | undefined;
  /** Tokens that the model's context leaves. */
  readonly roomTokens: number;
  /** Generate exactly the limit. */
  readonly ignoreEos: boolean;
  /** Text to repeat instead of inventing one. */
  readonly echo: string | undefined;
}

/** Pieces of an answer and why it ends. */
export interface Answer {
  readonly pieces: readonly string[];
  readonly finishReason: "stop" | "length";
}

/** Composes an answer of at least one token; equal random sequences give equal answers. */
export function composeAnswer(options: AnswerOptions, random: Random): Answer {
  const limit = Math.max(1, Math.min(options.maxTokens ?? Number.POSITIVE_INFINITY, options.roomTokens));
  if (options.echo !== undefined) return cut(splitPieces(options.echo), limit);
  const wanted = options.ignoreEos ? limit : Math.min(limit, 8 + Math.floor(random() * 56));
  const pieces: string[] = [];
  while (pieces.length < wanted) {
    const sentence = SENTENCES[Math.floor(random() * SENTENCES.length)]!;
    pieces.push(...splitPieces(pieces.length === 0 ? sentence : ` ${sentence}`));
  }
  return options.ignoreEos || pieces.length >= limit ? cut(pieces, limit) : { pieces, finishReason: "stop" };
}

function cut(pieces: readonly string[], limit: number): Answer {
  if (pieces.length === 0) return { pieces: [""], finishReason: "stop" };
  return { pieces: pieces.slice(0, limit), finishReason: pieces.length >= limit ? "length" : "stop" };
}
