import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { childName, childParent } from "./child-name.ts";

const LONG = "facebook-opt-125m-single-node-deployment-for-testing";

test.each([
  ["demo", "-kserve", "demo-kserve"],
  ["demo", "-kserve-mn-prefill", "demo-kserve-mn-prefill"],
  [LONG, "-kserve", `${LONG}-kserve`],
  [LONG, "-inference-pool", "facebook-opt-125243b9cad03c2062a506353808a9b54b3-inference-pool"],
  [LONG, "-epp-service", "facebook-opt-125m-s243b9cad03c2062a506353808a9b54b3-epp-service"],
  [LONG, "-kserve-workload-svc", "facebook-op243b9cad03c2062a506353808a9b54b3-kserve-workload-svc"],
  [LONG, "-kserve-self-signed-certs", "facebo243b9cad03c2062a506353808a9b54b3-kserve-self-signed-certs"],
  [
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef",
    "-epp-service",
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef-epp-service",
  ],
  [
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeff",
    "-epp-service",
    "aaaaaaaaaabbbbbbbbbbfbcb9701576f1f0112ed67f7aad0f1d-epp-service",
  ],
  ["a".repeat(63), "-kserve", "aaaaaaaaaaaaaaaaaaaaaaaab06521f39153d618550606be297466d5-kserve"],
  ["ns1", "-demo-epp-auth-rb", "ns1-demo-epp-auth-rb"],
  [
    "production-namespace",
    "-my-very-long-llm-inference-service-name-here-epp-auth-rb",
    "production-namespace284c40d2dce83c9ed4b7e3a3b3d663b4-my-very-lo",
  ],
  ["ns1", `-${LONG}-epp-auth-rb`, "ns1d0a495a0aa8888d2a47070546eeef426-facebook-opt-125m-single-no"],
  ["lora-pvc-", "sql-adapter", "lora-pvc-sql-adapter"],
  [
    "lora-pvc-",
    "a-very-long-adapter-name-with-more-than-fifty-four-characters-in-it",
    "lora-pvc-9128111b51b81db9ca75180371e7f8dda-very-long-adapter-na",
  ],
])("childName(%j, %j) is %j", (parent, suffix, expected) => {
  expect(childName(parent, suffix)).toBe(expected);
});

test("a child name never exceeds 63 bytes", () => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,80}$/);
  fc.assert(fc.property(name, name, (parent, suffix) => childName(parent, `-${suffix}`).length <= 63));
});

test.each([
  ["llama", "llama"],
  ["llama-3-1", "llama-3-1"],
  ["", ""],
  ["qwen2.5", "qwen2-5-ef306ae9"],
  ["qwen2-5.x", "qwen2-5-x-1e0d9397"],
  ["7b", "s-7b-27675858"],
])("children of %j are named after %j", (name, expected) => expect(childParent(name)).toBe(expected));

test("what is no name of a Service becomes one, of its own", () => {
  const names = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?$/);
  fc.assert(
    fc.property(names, names, (a, b) => {
      expect(childName(childParent(a), "-kserve-workload-svc")).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
      expect(childParent(a) === childParent(b)).toBe(a === b);
    }),
  );
});
