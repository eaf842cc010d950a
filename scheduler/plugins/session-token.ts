/** Tokens that tell an endpoint to the client and back, signed where there is a key. */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Makes tokens of ids and reads them. */
export interface Tokens {
  seal(id: string): string;
  /** The id; undefined where the token does not have the signature that it needs. */
  open(token: string): string | undefined;
}

const decoded = (text: string): string => Buffer.from(text, "base64").toString("utf8");
const encoded = (id: string): string => Buffer.from(id).toString("base64");

/**
 * Tokens signed with the key in the environment variable `variable`: base64 of the id, a dot, HMAC-SHA256 of that in base64url.
 * Empty: base64 of the id alone, as the llm-d endpoint picker writes it. Throws where the variable is not set.
 */
export function createTokens(variable: string, environment: Readonly<Record<string, string | undefined>>): Tokens {
  if (variable === "") return { seal: encoded, open: decoded };
  const key = environment[variable] ?? "";
  if (key === "") throw new Error(`signingKeyEnv: environment variable ${variable} is not set; set it to a secret key`);
  const signatureOf = (text: string): Buffer => createHmac("sha256", key).update(text).digest();
  return {
    seal: (id) => `${encoded(id)}.${signatureOf(encoded(id)).toString("base64url")}`,
    open: (token) => {
      const [text = "", signature = ""] = token.split(".");
      const given = Buffer.from(signature, "base64url");
      const expected = signatureOf(text);
      return given.length === expected.length && timingSafeEqual(given, expected) ? decoded(text) : undefined;
    },
  };
}
