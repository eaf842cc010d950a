import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../crds/schema/types.ts";

/** One stored object. */
export interface Entry {
  readonly resource: string;
  readonly key: string;
  readonly object: JsonObject;
}

/** One change as the log keeps it; a null object is a delete. */
export interface LogEntry {
  readonly version: number;
  readonly resource: string;
  readonly key: string;
  readonly object: JsonObject | null;
}

/** Everything that was stored when the last process ended. */
export interface SavedState {
  readonly version: number;
  readonly entries: readonly Entry[];
}

/** Size of the log at which it is replaced by a snapshot. */
const LOG_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * State on disk: `snapshot.jsonl` (header line with the version, then one object a line) and `log.jsonl` (one change a
 * line, after the snapshot). Every change is in the file before the write is answered. A snapshot replaces its predecessor
 * by rename, and log lines that it covers are skipped, so a crash at any point loses nothing; a torn last line of the log
 * is a write that was never answered and is cut off.
 */
export class Journal {
  readonly #snapshotPath: string;
  readonly #logPath: string;
  readonly #limitBytes: number;
  #log: number | undefined;
  #bytes = 0;

  /** `folder` is created. */
  constructor(folder: string, limitBytes = LOG_LIMIT_BYTES) {
    mkdirSync(folder, { recursive: true });
    this.#snapshotPath = join(folder, "snapshot.jsonl");
    this.#logPath = join(folder, "log.jsonl");
    this.#limitBytes = limitBytes;
  }

  /** Reads the state and opens the log. Errors: a damaged line, with file and line number. */
  load(): SavedState {
    const objects = new Map<string, Entry>();
    let version = this.#loadSnapshot(objects);
    for (const entry of this.#loadLog()) {
      if (entry.version <= version) continue;
      version = entry.version;
      const id = `${entry.resource} ${entry.key}`;
      if (entry.object === null) objects.delete(id);
      else objects.set(id, { resource: entry.resource, key: entry.key, object: entry.object });
    }
    this.#log = openSync(this.#logPath, "a");
    return { version, entries: [...objects.values()] };
  }

  /** Adds a change; when the log is full, `state` (without this change) becomes a snapshot first. */
  append(change: LogEntry, state: () => Iterable<Entry>): void {
    if (this.#log === undefined) throw new Error("the journal is not open");
    if (this.#bytes > this.#limitBytes) this.#snapshot(change.version - 1, state());
    const { version, resource, key, object } = change;
    const line = Buffer.from(`${JSON.stringify({ version, resource, key, object })}\n`);
    writeSync(this.#log, line);
    this.#bytes += line.length;
  }

  close(): void {
    if (this.#log === undefined) return;
    fsyncSync(this.#log);
    closeSync(this.#log);
    this.#log = undefined;
  }

  #loadSnapshot(objects: Map<string, Entry>): number {
    if (!existsSync(this.#snapshotPath)) return 0;
    const [header = "", ...lines] = readFileSync(this.#snapshotPath, "utf8").split("\n");
    for (const [index, line] of lines.entries()) {
      if (line === "") continue;
      const entry = parseLine<Entry>(line, this.#snapshotPath, index + 2);
      objects.set(`${entry.resource} ${entry.key}`, entry);
    }
    return parseLine<{ version: number }>(header, this.#snapshotPath, 1).version;
  }

  #loadLog(): LogEntry[] {
    if (!existsSync(this.#logPath)) return [];
    const bytes = readFileSync(this.#logPath);
    const whole = bytes.lastIndexOf(10) + 1;
    if (whole < bytes.length) truncateSync(this.#logPath, whole);
    this.#bytes = whole;
    const lines = bytes.subarray(0, whole).toString("utf8").split("\n").slice(0, -1);
    return lines.map((line, index) => parseLine<LogEntry>(line, this.#logPath, index + 1));
  }

  #snapshot(version: number, entries: Iterable<Entry>): void {
    const next = `${this.#snapshotPath}.next`;
    const file = openSync(next, "w");
    writeSync(file, `${JSON.stringify({ version })}\n`);
    for (const entry of entries) writeSync(file, `${JSON.stringify(entry)}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(next, this.#snapshotPath);
    truncateSync(this.#logPath, 0);
    this.#bytes = 0;
  }
}

function parseLine<T>(line: string, path: string, number: number): T {
  try {
    return JSON.parse(line) as T;
  } catch (error) {
    throw new Error(`${path} line ${number} is damaged; move the folder away to start empty`, { cause: error });
  }
}
