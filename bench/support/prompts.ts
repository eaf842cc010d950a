import { createRandom } from "../../simulator/engine/random.ts";

/** Words of an English text, so that prompts look like prose to whoever scans or hashes them. */
const WORDS =
  "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one " +
  "you were all her she there would their we him been has when who will no more if out so up said what its about than " +
  "into them can only other time new some could these two may first then do any like my now over such our man me even " +
  "most made after also did many off before must well back through years where much your way down should because long";
const VOCABULARY = WORDS.split(" ");

/** Prose of exactly `length` characters: sentences, a line break every few, now and then a quotation. */
export function prose(length: number, random: () => number): string {
  let text = "";
  while (text.length < length) {
    const words = Array.from(
      { length: 6 + Math.floor(random() * 12) },
      () => VOCABULARY[Math.floor(random() * VOCABULARY.length)]!,
    );
    const sentence = words.join(" ");
    text += random() < 0.1 ? `"${sentence}." ` : `${sentence}.${random() < 0.4 ? "\n" : " "}`;
  }
  return text.slice(0, length);
}

/** A set of chat requests. */
export interface PromptSet {
  /** Bytes of text in each request's messages. */
  readonly promptBytes: number;
  /** Distinct bodies. */
  readonly bodies: readonly Buffer[];
}

const SHARING = 8;

/**
 * Makes `count` distinct chat-completion bodies with `promptBytes` of text each. Every eight of them share their first half
 * as a system prompt, as the users of one application do.
 */
export function chatPrompts(promptBytes: number, count: number, model: string): PromptSet {
  const half = Math.floor(promptBytes / 2);
  const systems = Array.from({ length: Math.ceil(count / SHARING) }, (_, index) =>
    prose(half, createRandom(index + 1)),
  );
  const bodies = Array.from({ length: count }, (_, index) => {
    const user = prose(promptBytes - half, createRandom(1000 + index));
    const messages = [
      { role: "system", content: systems[Math.floor(index / SHARING)] },
      { role: "user", content: user },
    ];
    return Buffer.from(JSON.stringify({ model, messages, max_tokens: 256, temperature: 0.7, stream: true }));
  });
  return { promptBytes, bodies };
}
