import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWith } from "../cluster/real.ts";
import { BODY_MODES, type PoolRoute, STYLES, type Style } from "./config.ts";
import { type ProxiedService, isServed, startProxied } from "./fixture.ts";

const STYLE_NAMES = Object.keys(STYLES) as Style[];
const MATRIX = STYLE_NAMES.flatMap((style) => BODY_MODES.map((bodyMode) => ({ style, bodyMode })));
const MIB = 1024 * 1024;

const routeName = (style: Style, bodyMode: string): string => `${style}.${bodyMode}`;

function routes(addresses: readonly string[]): PoolRoute[] {
  return [
    ...MATRIX.map(({ style, bodyMode }) => ({ name: routeName(style, bodyMode), style, bodyMode })),
    { name: "hinted", style: "override-header", bodyMode: "FULL_DUPLEX_STREAMED", subsetHint: [addresses[1]!] },
  ];
}

describeWith("a real Envoy", "envoy")("a real Envoy in front of the scheduler", () => {
  let service: ProxiedService;

  beforeAll(async () => {
    service = await startProxied({ name: "proxied", replicas: 3, engineArgs: ["--max-model-len=4000000"], routes });
  }, 90_000);
  afterAll(async () => await service?.close(), 60_000);

  test.each(MATRIX)("$style, $bodyMode: plain and streamed completions", async ({ style, bodyMode }) => {
    const plain = await service.complete(routeName(style, bodyMode), `hello ${style} ${bodyMode}`);
    expect(plain.status).toBe(200);
    expect(isServed(plain)).toBe(true);
    expect(service.pods).toContain(plain.headers.get("x-inference-pod"));
    const streamed = await service.stream(routeName(style, bodyMode), 5);
    expect(streamed.status).toBe(200);
    expect(isServed(streamed)).toBe(true);
  });

  test.each(STYLE_NAMES)("%s follows the pick: one prefix, one pod", async (style) => {
    for (const mode of ["FULL_DUPLEX_STREAMED", "BUFFERED"]) {
      const prefix = `${style} ${mode} `.repeat(200);
      const served = new Set<string | null>();
      for (let index = 0; index < 6; index++)
        served.add(
          (await service.complete(routeName(style, mode), `${prefix} ${index}`)).headers.get("x-inference-pod"),
        );
      expect([mode, served.size]).toEqual([mode, 1]);
    }
  });

  test("a subset hint of the proxy binds the pick", async () => {
    for (let index = 0; index < 6; index++) {
      const answer = await service.complete("hinted", `anything ${index}`);
      expect(answer.headers.get("x-inference-pod")).toBe(service.pods[1]);
    }
  });

  test.each(MATRIX)("$style, $bodyMode: a prompt of 5 MB arrives whole", async ({ style, bodyMode }) => {
    const answer = await service.complete(routeName(style, bodyMode), "word ".repeat(MIB));
    expect(answer.text).toContain("the limit is");
    expect(answer.status).toBe(400);
  });
});
