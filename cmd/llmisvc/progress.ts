/** Width of the column of step names. */
const NAME_WIDTH = 16;

/** Progress of a start, one line a step; the running step is shown with its state while it lasts, on terminals only. */
export interface Progress {
  /** Replaces the line of the running step. */
  running(name: string, state: string): void;
  /** Ends a step with a check mark and the seconds since the start. */
  done(name: string, outcome: string): void;
  /** Plain lines. */
  say(text: string): void;
}

/** Creates a progress that writes to `out`; `nowMs` is a monotonic clock in ms. */
export function createProgress(
  out: { write(text: string): unknown; readonly isTTY?: boolean | undefined },
  nowMs: () => number,
): Progress {
  const startMs = nowMs();
  const interactive = out.isTTY === true;
  let shown = "";
  const clear = (): string => (interactive && shown !== "" ? "\r\u001b[2K" : "");
  return {
    running: (name, state) => {
      const line = `  … ${name.padEnd(NAME_WIDTH)} ${state}`;
      if (!interactive || line === shown) return;
      out.write(`${clear()}${line}`);
      shown = line;
    },
    done: (name, outcome) => {
      const seconds = ((nowMs() - startMs) / 1000).toFixed(1);
      out.write(`${clear()}  ✓ ${name.padEnd(NAME_WIDTH)} ${outcome} (${seconds} s)\n`);
      shown = "";
    },
    say: (text) => {
      out.write(`${clear()}${text}\n`);
      shown = "";
    },
  };
}
