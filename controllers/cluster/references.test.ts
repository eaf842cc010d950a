import { expect, test } from "@jest/globals";
import { KINDS } from "../../kube/resources.ts";
import { References, whenKnown } from "./references.ts";

test("a body is fetched once for each version, and a computation runs again until all is known", async () => {
  const fetched: string[] = [];
  const references = new References({
    find: (resource, { namespace, name }) => {
      fetched.push(name);
      return Promise.resolve({ ...resource, metadata: { namespace, name, resourceVersion: "1" }, data: { name } });
    },
  });
  const look = (name: string, version: string) => references.get(KINDS.Secret, { namespace: "ml", name }, version);
  const both = () => [look("a", "1"), look("b", "1")].map((secret) => secret?.metadata.name);
  expect(await whenKnown(both)).toEqual(["a", "b"]);
  expect(both()).toEqual(["a", "b"]);
  await whenKnown(() => look("a", "2"));
  expect(fetched).toEqual(["a", "b", "a"]);
});

test("a failure to fetch is the computation's, and the next look tries again", async () => {
  let broken = true;
  const references = new References({
    find: () => (broken ? Promise.reject(new Error("down")) : Promise.resolve(undefined)),
  });
  const look = () => references.get(KINDS.Secret, { namespace: "ml", name: "a" }, "1");
  await expect(whenKnown(look)).rejects.toThrow("down");
  broken = false;
  expect(await whenKnown(look)).toBeUndefined();
});
