/**
 * Preloaded into a process (`NODE_OPTIONS=--import=…`), moves its wall clock by the milliseconds that the file
 * `LLMISVC_CLOCK_FILE` holds, and follows the file. Timers and monotonic time are left alone, as when a machine's clock is
 * set.
 */
import { readFileSync } from "node:fs";

const file = process.env["LLMISVC_CLOCK_FILE"];
const FOLLOW_MS = 200;

if (file !== undefined) {
  let offsetMs = 0;
  const read = (): void => {
    try {
      offsetMs = Number(readFileSync(file, "utf8")) || 0;
    } catch {
      // The run is ending.
    }
  };
  read();
  setInterval(read, FOLLOW_MS).unref();
  const Real = Date;
  const now = (): number => Real.now() + offsetMs;
  globalThis.Date = new Proxy(Real, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
    apply: () => new Real(now()).toString(),
    get: (target, property, receiver) => (property === "now" ? now : Reflect.get(target, property, receiver)),
  });
}
