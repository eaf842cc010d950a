import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { MultiMap } from "./multi-map.ts";

test("holds what sets by name would hold", () => {
  const text = fc.constantFrom("a", "b", "c");
  const change = fc.record({ adds: fc.boolean(), name: text, member: text });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const [map, model] = [new MultiMap(), new Map<string, Set<string>>()];
      for (const { adds, name, member } of changes) {
        const members = model.get(name) ?? new Set();
        model.set(name, members);
        if (adds) {
          map.add(name, member);
          members.add(member);
        } else {
          map.delete(name, member);
          members.delete(member);
        }
      }
      for (const [name, members] of model) {
        expect([...map.of(name)]).toEqual([...members]);
        expect(map.has(name)).toBe(members.size > 0);
      }
    }),
  );
});
