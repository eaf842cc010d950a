import fc from "fast-check";
import type { Json, JsonObject } from "../crds/schema/types.ts";

/** Values that are wrong in most places. */
const WRONG: readonly Json[] = ["", "x", "UPPER", 0, -5, 1.5, true, null, [], {}, [1], { a: 1 }];

type Step = string | number;

function placesIn(value: Json, path: readonly Step[] = []): (readonly Step[])[] {
  if (typeof value !== "object" || value === null) return [path];
  const entries: (readonly [Step, Json])[] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [...(path.length === 0 ? [] : [path]), ...entries.flatMap(([key, item]) => placesIn(item, [...path, key]))];
}

function replaced(value: Json, [step, ...rest]: readonly Step[], by: Json): Json {
  if (step === undefined) return by;
  if (Array.isArray(value)) return value.map((item, index) => (index === step ? replaced(item, rest, by) : item));
  const object = value as JsonObject;
  return { ...object, [step]: replaced(object[step]!, rest, by) };
}

/** Values of an arbitrary, of which most have one to three places replaced by what does not belong there. */
export function damaged(values: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  const cuts = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...WRONG)), { maxLength: 3 });
  return fc.tuple(values, cuts).map(([value, changes]) =>
    changes.reduce((current, [where, by]) => {
      const places = placesIn(current).filter(({ length }) => length > 0);
      return places.length === 0 ? current : replaced(current, places[where % places.length]!, structuredClone(by));
    }, value),
  );
}
