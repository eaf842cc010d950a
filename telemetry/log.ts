import { Writable } from "node:stream";
import winston from "winston";

/** Structured values of a log line, by key. Never prompts, tokens or secrets. */
export type Fields = Readonly<Record<string, unknown>>;

/** Verbosity thresholds, spelled as the Go endpoint picker spells them: `-v=4` writes everything up to `debug`. */
export const VERBOSITY = { default: 2, verbose: 3, debug: 4, trace: 5 } as const;

/** Leveled, structured logger. A disabled level costs one comparison: guard expensive fields with `enabled`. */
export interface Logger {
  /** A failed action. Pass the cause as `error`. */
  error(message: string, fields?: Fields): void;
  /** Degraded, but serving. */
  warn(message: string, fields?: Fields): void;
  /** Start-up facts and outcomes that changed something. */
  info(message: string, fields?: Fields): void;
  /** A line that is written only when `verbosity` is at or below the threshold. */
  v(verbosity: number, message: string, fields?: Fields): void;
  /** Whether `v(verbosity, …)` would write. */
  enabled(verbosity: number): boolean;
  /** A logger whose lines all carry `fields` too; `logger` extends the dotted name. */
  child(fields: Fields): Logger;
}

/** What `createLogger` takes; all parts are optional. */
export interface LoggerOptions {
  /** Dotted name of the writing part, the key `logger` of each line. */
  readonly name?: string;
  /** Threshold, 0 to 10; default 2. */
  readonly verbosity?: number;
  /** `json` (default) or `console`: level, time, message and `key=value` in columns. */
  readonly format?: "json" | "console";
  /** Where whole lines go; default is the standard output. */
  readonly write?: (text: string) => void;
  /** Wall clock in ms; default `Date.now`. */
  readonly now?: () => number;
}

/** The logger of a process: its threshold can change while it runs, and what it holds back can be flushed. */
export interface RootLogger extends Logger {
  readonly verbosity: number;
  setVerbosity(verbosity: number): void;
  /** Writes what is buffered; call before the process ends. */
  flush(): void;
}

interface Core {
  verbosity: number;
  readonly sink: LineSink;
  readonly winston: winston.Logger;
  readonly format: (entry: Entry) => string;
  readonly now: () => number;
}

interface Entry {
  readonly level: string;
  readonly message: string;
  readonly fields: Fields;
}

const BATCH_BYTES = 64 * 1024;
const BATCH_DELAY_MS = 20;

/** Joins lines into few writes, since a write per line is the larger part of a line's cost. */
class LineSink {
  #held = "";
  #timer: NodeJS.Timeout | undefined;
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  push(line: string): void {
    this.#held += `${line}\n`;
    if (this.#held.length >= BATCH_BYTES) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_DELAY_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#held;
    this.#held = "";
    if (text !== "") this.#write(text);
  }
}

/**
 * Creates a process's logger. Start-up, errors and warnings pass through winston; lines of verbosity 3 and above, which
 * may come thousands a second, take a direct path of the same layout.
 */
export function createLogger(options: LoggerOptions = {}): RootLogger {
  const sink = new LineSink(options.write ?? ((text) => void process.stdout.write(text)));
  const now = options.now ?? Date.now;
  const format = options.format === "console" ? formatConsole : formatJson;
  const core: Core = {
    verbosity: options.verbosity ?? VERBOSITY.default,
    sink,
    now,
    format: (entry) => format(entry, now()),
    winston: createWinston(sink),
  };
  const root = bind(core, options.name === undefined ? {} : { logger: options.name });
  return {
    ...root,
    get verbosity() {
      return core.verbosity;
    },
    setVerbosity: (verbosity: number) => void (core.verbosity = verbosity),
    flush: () => sink.flush(),
  };
}

/** A logger that writes nothing, for tests and for parts whose owner wants silence. */
export const silentLogger: Logger = {
  error: () => {},
  warn: () => {},
  info: () => {},
  v: () => {},
  enabled: () => false,
  child: () => silentLogger,
};

function createWinston(sink: LineSink): winston.Logger {
  const printed = winston.format.printf((info) => String(info.message));
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      sink.push(chunk);
      done();
    },
  });
  const transport = new winston.transports.Stream({ stream, eol: "" });
  return winston.createLogger({ level: "info", format: printed, transports: [transport], exitOnError: false });
}

function bind(core: Core, bound: Fields): Logger {
  const merged = (fields: Fields | undefined): Fields => (fields === undefined ? bound : { ...bound, ...fields });
  const write = (level: "error" | "warn" | "info", message: string, fields: Fields | undefined) => {
    core.winston.log(level, core.format({ level, message, fields: merged(fields) }));
  };
  return {
    error: (message, fields) => write("error", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    info: (message, fields) => write("info", message, fields),
    v: (verbosity, message, fields) => {
      if (verbosity > core.verbosity) return;
      if (verbosity <= VERBOSITY.default) return write("info", message, fields);
      core.sink.push(core.format({ level: levelName(verbosity), message, fields: merged(fields) }));
    },
    enabled: (verbosity) => verbosity <= core.verbosity,
    child: (fields) => bind(core, { ...bound, ...fields, ...nested(bound, fields) }),
  };
}

function nested(bound: Fields, fields: Fields): Fields {
  if (typeof bound.logger !== "string" || typeof fields.logger !== "string") return {};
  return { logger: `${bound.logger}.${fields.logger}` };
}

function levelName(verbosity: number): string {
  if (verbosity >= VERBOSITY.trace) return "trace";
  return verbosity >= VERBOSITY.debug ? "debug" : "info";
}

function formatJson({ level, message, fields }: Entry, nowMs: number): string {
  return JSON.stringify({ level, ts: nowMs / 1000, msg: message, ...fields }, replaceErrors);
}

function formatConsole({ level, message, fields }: Entry, nowMs: number): string {
  const { logger, ...rest } = fields;
  const head = `${new Date(nowMs).toISOString()} ${level.toUpperCase().padEnd(5)} ${typeof logger === "string" ? `${logger}: ` : ""}`;
  const pairs = Object.entries(rest).map(([key, value]) => ` ${key}=${consoleValue(value)}`);
  return head + message + pairs.join("");
}

function consoleValue(value: unknown): string {
  if (typeof value === "string") return /[\s"=]/.test(value) || value === "" ? JSON.stringify(value) : value;
  return JSON.stringify(value, replaceErrors) ?? "null";
}

/** Errors have no own enumerable fields, so JSON would lose them; keep the message with its chain of causes. */
function replaceErrors(_key: string, value: unknown): unknown {
  if (value instanceof Error) return describeError(value);
  return typeof value === "bigint" ? value.toString() : value;
}

/** The message of an error followed by those of its causes, joined by `: `; any other value as text. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : (JSON.stringify(error) ?? "undefined");
  const head = error.message === "" ? error.name : error.message;
  return error.cause === undefined ? head : `${head}: ${describeError(error.cause)}`;
}
