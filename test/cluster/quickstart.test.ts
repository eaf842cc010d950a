import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { ROOT, start } from "../e2e/process.ts";
import { shapeOf } from "./quickstart-steps.ts";
import { IN_NETWORK, hasNetwork, haveComponents } from "./toolbox.ts";

const LIMIT_MS = 180_000;
const WHAT = "helm install to a completion through Envoy";
const possible = haveComponents(WHAT, "kubernetes", "helm", "envoy") && hasNetwork(WHAT);

(possible ? describe : describe.skip)(WHAT, () => {
  test(
    "goes as docs/quickstart.md tells (make quickstart writes it)",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "llmisvc-transcript-"));
      const page = join(folder, "page.md");
      const script = [join(ROOT, "bin/node"), join(ROOT, "test/cluster/quickstart.ts"), "--output", page, "-v"];
      const { code, stdout, stderr } = await start(IN_NETWORK, script).finished;
      expect({ code, output: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, output: "" });
      expect(shapeOf(readFileSync(page, "utf8"))).toBe(shapeOf(readFileSync(join(ROOT, "docs/quickstart.md"), "utf8")));
      rmSync(folder, { recursive: true });
    },
    LIMIT_MS,
  );
});
