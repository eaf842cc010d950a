import { afterEach, expect, test } from "@jest/globals";
import { createLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { LOG_LEVEL_PATH, logLevelPage } from "./log-level-page.ts";
import { startMetricsServer } from "./metrics-server.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function start() {
  const logger = createLogger({ verbosity: 2, write: () => undefined });
  const pages = new Map([[LOG_LEVEL_PATH, logLevelPage(logger)]]);
  const server = await startMetricsServer({
    host: "127.0.0.1",
    port: 0,
    metrics: createMetricsRegistry(),
    logger,
    pages,
  });
  cleanups.push(() => server.close());
  const url = `http://127.0.0.1:${server.port}`;
  const ask = async (method: string, body?: string, path = LOG_LEVEL_PATH): Promise<[number, string]> => {
    const answer = await fetch(url + path, { method, ...(body === undefined ? {} : { body }) });
    return [answer.status, (await answer.text()).trim()];
  };
  return { logger, ask };
}

test.each([
  ["4", 4],
  ["debug\n", 4],
  ["info", 2],
  ["error", 0],
])("PUT %j sets the level %d while the process runs", async (text, verbosity) => {
  const { logger, ask } = await start();
  const [status, body] = await ask("PUT", text);
  expect([status, JSON.parse(body)]).toEqual([200, { verbosity }]);
  expect([logger.enabled(verbosity), logger.enabled(verbosity + 1)]).toEqual([true, false]);
  expect(JSON.parse((await ask("GET"))[1])).toEqual({ verbosity });
});

test.each([
  ["loud", 'log level "loud" is invalid; write error, info, debug or a whole number'],
  ["x".repeat(2000), "text is longer than 1024 bytes"],
])("PUT %s is refused, and changes nothing", async (text, message) => {
  const { logger, ask } = await start();
  expect(await ask("PUT", text)).toEqual([400, message]);
  expect(logger.verbosity).toBe(2);
});

test("other pages and methods stay closed", async () => {
  const { ask } = await start();
  expect((await ask("PUT", "4", "/metrics"))[0]).toBe(405);
  expect((await ask("DELETE"))[0]).toBe(405);
});
