import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Fields, textAt, textsAt } from "../fields.ts";
import { ContainerConfigError } from "./environment.ts";

/** The programs of this product that containers run as; each is the path of a TypeScript entry file. */
export interface Entries {
  readonly operator: string;
  readonly scheduler: string;
  /** The routing sidecar of decode pods. */
  readonly sidecar: string;
  readonly simulator: string;
  /** The `llmisvc` command line. */
  readonly cli: string;
}

/** Finds the process that stands for a container. */
export interface ImageCatalog {
  /**
   * The command line of a container by its command, arguments and image. Throws `ContainerConfigError` with reason
   * `ErrImagePull` for an image without a known program, `StartError` for a program that the playground does not have.
   */
  commandOf(container: Fields): readonly string[];
  /** Folders that come first in the PATH of containers. */
  readonly path: string;
}

/** vLLM's version as the simulator reports it; presets choose engine flags by it. */
const VLLM_VERSION = "0.22.0";

/** Version of the stored engine the simulator stands for, by image name, where a container has no command of its own. */
const PROGRAM_OF_IMAGE: readonly (readonly [RegExp, string])[] = [
  [/storage-initializer/, "storage-initializer"],
  [/llmisvc-operator|llmisvc-controller/, "manager"],
  [/disagg-sidecar|routing-sidecar/, "pd-sidecar"],
  [/endpoint-picker|inference-scheduler|llmisvc-scheduler|\/epp\b/, "epp"],
  [/vllm|llm-d-cuda|llm-d-rocm|llm-d-cpu|llm-d-inference-sim|\/llm-d:/, "vllm"],
];

/** Programs of the machine that images commonly hold. */
const TOOLS = new Set(
  "sh bash sleep true false echo cat env test printf date hostname ls mkdir touch rm cp mv sed awk grep head tail curl".split(
    " ",
  ),
);

/** Names in images of programs that have a stand-in. */
const ALIASES: Readonly<Record<string, string>> = {
  epp: "epp",
  "llmisvc-scheduler": "epp",
  "pd-sidecar": "pd-sidecar",
  "llmisvc-operator": "manager",
  manager: "manager",
  llmisvc: "llmisvc",
  vllm: "vllm",
  "llm-d-inference-sim": "vllm",
  python: "python3",
  python3: "python3",
  "storage-initializer": "storage-initializer",
};

/**
 * Creates the stand-ins under `folder/bin` as small scripts, so that start scripts of containers find `vllm` and the like on
 * their PATH.
 */
export function createImages(options: {
  readonly entries: Entries;
  readonly folder: string;
  /** Path of the Node.js that runs the entries; default this process's. */
  readonly node?: string;
}): ImageCatalog {
  const bin = join(options.folder, "bin");
  mkdirSync(bin, { recursive: true });
  const node = quote(options.node ?? process.execPath);
  const run = (entry: string) => `exec ${node} ${quote(entry)} "$@"`;
  const vllm = run(options.entries.simulator);
  const scripts: Readonly<Record<string, string>> = {
    epp: run(options.entries.scheduler),
    "pd-sidecar": run(options.entries.sidecar),
    manager: run(options.entries.operator),
    llmisvc: run(options.entries.cli),
    vllm: `case "$1" in --version | -v) echo ${VLLM_VERSION} ; exit 0 ;; esac\n${vllm}`,
    python3: `case "$1 $2" in "-m vllm."*) shift 2\n${vllm} ;; esac\necho "python3: only -m vllm.* runs in the playground" >&2\nexit 127`,
    "storage-initializer": `echo "$1 needs no download: the engine is simulated"`,
  };
  for (const [name, text] of Object.entries(scripts)) writeScript(join(bin, name), text);
  return { path: bin, commandOf: (container) => commandOf(container, bin) };
}

function writeScript(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function commandOf(container: Fields, bin: string): readonly string[] {
  const [program, ...rest] = textsAt(container, "command");
  const args = textsAt(container, "args");
  if (program !== undefined) return [resolveProgram(program, bin), ...rest, ...args];
  const image = textAt(container, "image") ?? "";
  const known = PROGRAM_OF_IMAGE.find(([pattern]) => pattern.test(image));
  if (known === undefined)
    throw new ContainerConfigError(
      "ErrImagePull",
      `the playground has no program for image "${image}": give the container a command, or use an image of vLLM or of this product`,
    );
  return [join(bin, known[1]), ...args];
}

function resolveProgram(program: string, bin: string): string {
  const name = program.slice(program.lastIndexOf("/") + 1);
  const alias = ALIASES[name];
  if (alias !== undefined) return join(bin, alias);
  if (TOOLS.has(name)) return name;
  throw new ContainerConfigError(
    "StartError",
    `exec: "${program}": the playground has no such program; it has ${[...new Set(Object.keys(ALIASES))].join(", ")} and common shell tools`,
  );
}
