import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type BuildOptions, type Plugin, build } from "esbuild";

const ROOT = new URL("..", import.meta.url).pathname;
const CLIENT_NODE = join(ROOT, "node_modules/@kubernetes/client-node/dist");

/** Programs of the images: the entry file, and the paths that deployments call it by. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  operator: ["manager", "app/llmisvc-operator"],
  scheduler: ["app/epp", "app/llmisvc-scheduler"],
  sidecar: ["app/pd-sidecar"],
  llmisvc: ["app/llmisvc"],
};

/** The nursery size that costs the least CPU for each request at a bounded resident set. */
const INTERPRETER = "#!/usr/local/bin/node --max-semi-space-size=32";

/** CommonJS packages inside a module call `require` for what Node.js brings. */
const REQUIRE =
  'import{createRequire as createRequireOfBundle}from"node:module";const require=createRequireOfBundle(import.meta.url);';

/** Stands for undici, which would cost every process 4 MB: we speak HTTP by Node.js, and only its own fetch would need it. */
const NO_UNDICI = ["Agent", "ProxyAgent", "fetch"]
  .map((name) => `export function ${name}() { throw new Error("undici is not in this build"); }`)
  .join("\n");

/**
 * `@kubernetes/client-node` as far as its credentials: the package's index would bring its generated models along, three
 * quarters of a bundle.
 */
const credentialsOnly: Plugin = {
  name: "credentials-only",
  setup(context) {
    context.onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: join(CLIENT_NODE, "config.js") }));
    context.onResolve({ filter: /\/gen\/index\.js$/ }, ({ importer }) =>
      importer.startsWith(CLIENT_NODE) ? { path: "generated", namespace: "credentials-only" } : undefined,
    );
    context.onResolve({ filter: /^undici$/ }, () => ({ path: "undici", namespace: "credentials-only" }));
    context.onLoad({ filter: /^undici$/, namespace: "credentials-only" }, () => ({ contents: NO_UNDICI }));
    context.onLoad({ filter: /^generated$/, namespace: "credentials-only" }, () => ({
      contents:
        'export { createConfiguration } from "./gen/configuration.js"; export { ServerConfiguration } from "./gen/servers.js";',
      resolveDir: CLIENT_NODE,
    }));
  },
};

/** The playground runs the sources of a checkout. */
const withoutPlayground: Plugin = {
  name: "without-playground",
  setup(context) {
    context.onLoad({ filter: /cmd\/llmisvc\/playground\.ts$/ }, () => ({
      contents: 'export const playground = async () => { throw new Error("runs from a checkout: make playground"); };',
    }));
  },
};

const OPTIONS: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  minify: true,
  // Names of functions and classes are read in stack traces and in logs.
  keepNames: true,
  sourcemap: "linked",
  sourcesContent: false,
  banner: { js: `${INTERPRETER}\n${REQUIRE}` },
  plugins: [credentialsOnly, withoutPlayground],
  absWorkingDir: ROOT,
  logLevel: "warning",
};

/** The commit of the checkout, for the metric `llm_d_epp_info`; `unknown` outside of one. */
function commit(): string {
  // For builds without a repository, such as that of the Dockerfile.
  const told = process.env.BUILD_COMMIT ?? "";
  if (told !== "") return told;
  const { stdout, status } = spawnSync("git", ["rev-parse", "HEAD"], { cwd: ROOT, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "unknown";
}

/** What is bundled other than for an image. */
export interface BundleOptions {
  /** Names of programs; default all. */
  readonly programs?: readonly string[];
  /** Keeps the text readable, for profiles. */
  readonly readable?: boolean;
}

/**
 * Writes the programs of the images under `target`, laid out as in the root of an image: `app/cmd/<program>/main.mjs` with
 * source maps, the presets at the path that the sources have them at, and a link for each name that deployments call.
 */
export async function bundle(target: string, { programs, readable = false }: BundleOptions = {}): Promise<void> {
  const { name, version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<string, string>;
  const facts = { BUILD_COMMIT: commit(), BUILD_REF: version };
  const define = Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [`process.env.${key}`, JSON.stringify(value)]),
  );
  rmSync(target, { recursive: true, force: true });
  for (const [program, links] of Object.entries(PROGRAMS)) {
    if (programs?.includes(program) === false) continue;
    const file = `app/cmd/${program}/main.mjs`;
    await build({
      ...OPTIONS,
      minify: !readable,
      define,
      entryPoints: [`cmd/${program}/main.ts`],
      outfile: join(target, file),
    });
    chmodSync(join(target, file), 0o755);
    for (const link of links) {
      mkdirSync(join(target, dirname(link)), { recursive: true });
      symlinkSync(`/${file}`, join(target, link));
    }
  }
  cpSync(join(ROOT, "templates/presets"), join(target, "app/templates/presets"), { recursive: true });
  cpSync(join(ROOT, "LICENSE"), join(target, "app/LICENSE"));
  writeFileSync(join(target, "app/package.json"), `${JSON.stringify({ name, version, type: "module" })}\n`);
}

if (import.meta.main) await bundle(process.argv[2] ?? join(ROOT, "dist/image"));
