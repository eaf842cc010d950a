import { expect, test } from "@jest/globals";
import { profilePages } from "./profile-pages.ts";

const pages = profilePages();
const page = (path: string, seconds: string) => pages.get(path)?.render(new URLSearchParams({ seconds }));

test("profiles of processor and heap, one at a time", async () => {
  const first = page("/debug/pprof/profile", "0.05");
  expect(await page("/debug/pprof/heap", "0.05")).toEqual({ error: "another profile is being taken" });
  expect(await first).toMatchObject({ nodes: expect.any(Array), samples: expect.any(Array) });
  expect(await page("/debug/pprof/heap", "0.05")).toMatchObject({ head: expect.any(Object) });
});
