import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { EndpointStore } from "./endpoint-store.ts";

function endpoint(pod: string, rank = 0, address = "10.0.0.1"): EndpointMetadata {
  const hostPort = `${address}:${8000 + rank}`;
  const place = { address, port: 8000 + rank, hostPort, metricsHost: hostPort, nodeAddress: "", labels: {} };
  return { namespace: "ns", podName: pod, name: `${pod}-rank-${rank}`, rank, ...place };
}

test("a sample reaches its endpoint only, and none that took its slot", () => {
  const store = new EndpointStore();
  const slot = store.upsert(endpoint("a"));
  const generation = store.generation[slot]!;
  store.update(slot, generation, { waiting: 3, attributes: new Map([["depth", 7]]) }, 100);
  expect([store.waiting[slot], store.attribute("depth", slot), store.updatedAtMs[slot]]).toEqual([3, 7, 100]);
  store.update(slot, generation, { running: 2 }, 200);
  expect([store.waiting[slot], store.running[slot], store.attribute("depth", slot)]).toEqual([3, 2, 7]);
  store.upsert(endpoint("a", 0, "10.0.0.2"));
  expect(store.metadata(slot).hostPort).toBe("10.0.0.2:8000");
  store.update(slot, generation, { waiting: 9 }, 300);
  expect([store.waiting[slot], store.updatedAtMs[slot], store.attribute("depth", slot)]).toEqual([0, 0, NaN]);
});

test("until its first page an endpoint passes for an average one", () => {
  const store = new EndpointStore();
  for (const [pod, waiting] of [
    ["a", 2],
    ["b", 6],
  ] as const) {
    const slot = store.upsert(endpoint(pod));
    store.update(slot, store.generation[slot]!, { waiting, kvUsage: 0.5 }, 100);
  }
  const slot = store.upsert(endpoint("c"));
  expect([store.waiting[slot], store.kvUsage[slot], store.updatedAtMs[slot]]).toEqual([4, 0.5, 0]);
  store.update(slot, store.generation[slot]!, { waiting: 1 }, 100);
  expect([store.waiting[slot], store.kvUsage[slot]]).toEqual([1, 0]);
});

test("the list of the fleet is not touched by later changes", () => {
  const store = new EndpointStore();
  store.upsert(endpoint("a"));
  const before = store.fleet();
  expect(store.fleet()).toBe(before);
  store.replacePod("ns", "a", []);
  expect(before[0]?.podName).toBe("a");
  expect(store.fleet()[0]).toBeUndefined();
});

/** The store equals a map of pods, whatever happens; listeners see each slot come and go once. */
test("any sequence of changes", () => {
  const change = fc.record({ pod: fc.constantFrom("a", "b", "c", "d"), ranks: fc.nat(8), address: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const store = new EndpointStore();
      const live = new Set<number>();
      store.subscribe({
        onEndpointAdded: (slot) => {
          expect(live.has(slot)).toBe(false);
          live.add(slot);
        },
        onEndpointRemoved: (slot) => {
          expect(live.delete(slot)).toBe(true);
        },
      });
      const model = new Map<string, string[]>();
      for (const { pod, ranks, address } of changes) {
        const endpoints = Array.from({ length: ranks }, (_, rank) => endpoint(pod, rank, `10.0.0.${address}`));
        store.replacePod("ns", pod, endpoints);
        model.set(
          pod,
          endpoints.map(({ hostPort, name }) => `${name} ${hostPort}`),
        ); // prettier-ignore
      }
      const held = Array.from(store.slots(), (slot) => `${store.metadata(slot).name} ${store.metadata(slot).hostPort}`);
      expect(held.sort()).toEqual([...model.values()].flat().sort());
      expect(live).toEqual(new Set(store.slots()));
      expect(store.fleet().filter((item) => item !== undefined)).toHaveLength(store.size);
      expect(store.capacity).toBeGreaterThanOrEqual(store.size);
    }),
    { numRuns: 200 },
  );
});
