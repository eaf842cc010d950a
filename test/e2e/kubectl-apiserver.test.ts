import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { customResourceDefinitions } from "../../crds/definitions.ts";
import { type ApiServer, createApiServer } from "../../playground/apiserver/server.ts";
import { describeWithKubectl } from "./kubectl.ts";
import { type Finished, type Running, run, start } from "./process.ts";
import { until } from "../../playground/until.ts";

const SERVICE = {
  apiVersion: "serving.kserve.io/v1alpha2",
  kind: "LLMInferenceService",
  metadata: { name: "llama", namespace: "default", labels: { team: "a" } },
  spec: { model: { uri: "hf://meta-llama/Llama-3.1-8B", name: "llama" }, replicas: 1 },
};
const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: one, image: "img:1", ports: [{containerPort: 80}], env: [{name: A, value: "1"}]}
      - {name: two, image: "img:2"}
`;

describeWithKubectl("the API server under kubectl", () => {
  let server: ApiServer;
  let folder = "";
  const env = () => ({ KUBECONFIG: join(folder, "kubeconfig"), HOME: folder });
  const attempt = (args: readonly string[], input?: string): Promise<Finished> =>
    run("kubectl", args, { env: env(), ...(input === undefined ? {} : { input }) });
  const kubectl = async (args: string, input?: string): Promise<string> => {
    const { code, stdout, stderr } = await attempt(args.split(" "), input);
    if (code !== 0) throw new Error(`kubectl ${args} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  };
  const background = (args: string): Running => start("kubectl", args.split(" "), env());
  const ended = async (running: Running): Promise<void> => {
    running.child.kill("SIGKILL");
    await running.finished;
  };
  const applied = (object: unknown, flags = ""): Promise<string> =>
    kubectl(`apply -f -${flags}`, JSON.stringify(object));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "llmisvc-kubectl-"));
    server = await createApiServer();
    writeFileSync(join(folder, "kubeconfig"), server.kubeconfig());
    await kubectl("create namespace default");
    await applied({ apiVersion: "v1", kind: "List", items: customResourceDefinitions() }, " --server-side");
    await kubectl("wait --for=condition=Established crd --all --timeout=10s");
  }, 60_000);
  afterAll(async () => {
    await server?.close();
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  });

  describe("our own kind", () => {
    test("apply is idempotent, and get shows the printer columns under the short name", async () => {
      expect(await applied(SERVICE)).toBe("llminferenceservice.serving.kserve.io/llama created\n");
      expect(await applied(SERVICE)).toBe("llminferenceservice.serving.kserve.io/llama unchanged\n");
      expect(await kubectl("get llmisvc")).toMatch(/^NAME\s+URL\s+READY\s+REASON\s+AGE\nllama\s+\d+s\n$/);
      expect(await kubectl("get llmisvc -o name")).toBe("llminferenceservice.serving.kserve.io/llama\n");
      expect(await kubectl("get llmisvc -l team=b")).toBe("");
    });

    test("an unknown field and a wrong type are refused with their paths", async () => {
      const unknown = await attempt(
        ["apply", "-f", "-"],
        JSON.stringify({ ...SERVICE, spec: { ...SERVICE.spec, replica: 2 } }),
      );
      expect(unknown.stderr).toContain('unknown field "spec.replica"');
      const wrong = await attempt(
        ["apply", "-f", "-"],
        JSON.stringify({ ...SERVICE, spec: { ...SERVICE.spec, replicas: "two" } }),
      );
      expect(wrong.stderr).toMatch(/spec\.replicas.*must be of type integer/);
    });

    test("status, scale and wait work on the sub-resources", async () => {
      await kubectl("scale llmisvc/llama --replicas=3");
      expect(await kubectl("get llmisvc llama -o jsonpath={.spec.replicas}")).toBe("3");
      const waiting = kubectl("wait --for=condition=Ready llmisvc/llama --timeout=20s");
      const status = {
        status: {
          url: "http://127.0.0.1/default/llama",
          conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
        },
      };
      await kubectl(`patch llmisvc llama --subresource=status --type=merge -p ${JSON.stringify(status)}`);
      expect(await waiting).toContain("condition met");
      expect(await kubectl("get llmisvc")).toMatch(/llama\s+http:\/\/127\.0\.0\.1\/default\/llama\s+True\s+\d+s/);
    });

    test("explain, describe and edit", async () => {
      expect(await kubectl("explain llmisvc.spec.router.scheduler")).toMatch(/FIELD: scheduler <Object>[\s\S]*FIELDS:/);
      expect(await kubectl("describe llmisvc llama")).toMatch(/Name:\s+llama[\s\S]*Status:\s+True/);
      const edited = await run("kubectl", ["edit", "llmisvc", "llama"], {
        env: { ...env(), KUBE_EDITOR: "sed -i -e 's/replicas: 3/replicas: 2/'" },
      });
      expect(edited.stdout).toContain("llama edited");
      expect(await kubectl("get llmisvc llama -o jsonpath={.spec.replicas}")).toBe("2");
    });

    test("get -w follows changes", async () => {
      const watching = background("get llmisvc llama -w");
      await watching.output(/llama/, 10_000);
      await kubectl(
        'patch llmisvc llama --subresource=status --type=json -p [{"op":"replace","path":"/status/url","value":"http://new"}]',
      );
      await watching.output(/http:\/\/new/, 10_000);
      await ended(watching);
    });
  });

  describe("built-in kinds", () => {
    test("client-side apply merges lists by their keys", async () => {
      await kubectl("apply -f -", DEPLOYMENT);
      expect(await kubectl("apply -f -", DEPLOYMENT)).toContain("unchanged");
      await kubectl("apply -f -", DEPLOYMENT.replace("img:2", "img:3").replace(', env: [{name: A, value: "1"}]', ""));
      expect(await kubectl("get deploy web -o jsonpath={.spec.template.spec.containers[*].image}")).toBe("img:1 img:3");
      expect(await kubectl("get deploy web -o jsonpath={.spec.template.spec.containers[0].env}")).toBe("");
      expect(await kubectl("get deploy web -o wide")).toMatch(
        /CONTAINERS\s+IMAGES\s+SELECTOR\nweb\s+0\/2 .*one,two\s+img:1,img:3\s+app=web/,
      );
    });

    test("server-side apply by another manager is a conflict, until it is forced", async () => {
      const changed = DEPLOYMENT.replace("img:1", "img:9");
      const refused = await attempt(["apply", "--server-side", "--field-manager=other", "-f", "-"], changed);
      expect(refused.stderr).toContain('.spec.template.spec.containers[name="one"].image');
      await kubectl("apply --server-side --force-conflicts --field-manager=other -f -", changed);
      expect(await kubectl("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}")).toBe("img:9");
    });

    test("all four kinds of patch, label and annotate", async () => {
      await kubectl(
        'patch deploy web -p {"spec":{"template":{"spec":{"containers":[{"name":"two","image":"img:4"}]}}}}',
      );
      await kubectl('patch deploy web --type=merge -p {"metadata":{"labels":{"x":"1"}}}');
      await kubectl('patch deploy web --type=json -p [{"op":"add","path":"/metadata/labels/y","value":"2"}]');
      await kubectl("label deploy web z=3 x-");
      await kubectl("annotate deploy web note=hello");
      const paths = "{.spec.template.spec.containers[1].image}{.metadata.labels}{.metadata.annotations.note}";
      expect(await kubectl(`get deploy web -o jsonpath=${paths}`)).toBe('img:4{"y":"2","z":"3"}hello');
      const scaled = await kubectl("scale deploy/web --replicas=5");
      expect(scaled).toContain("scaled");
    });

    test("typed commands of kubectl create what they name", async () => {
      await kubectl("create configmap settings --from-literal=a=b");
      await kubectl("create secret generic keys --from-literal=k=v");
      await kubectl("create deployment typed --image=nginx --port=80");
      await kubectl("expose deployment typed --port=80");
      expect(await kubectl("get configmap settings -o jsonpath={.data}")).toBe('{"a":"b"}');
      expect(await kubectl("get secret keys -o jsonpath={.data.k}")).toBe("dg==");
      expect(await kubectl("get service typed -o jsonpath={.spec.ports[0].targetPort}")).toBe("80");
      expect(await kubectl("auth can-i create pods")).toBe("yes\n");
    });

    test("events of both groups are listed", async () => {
      const uid = await kubectl("get deploy web -o jsonpath={.metadata.uid}");
      const event = {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata: { name: "e", namespace: "default" },
        eventTime: new Date().toISOString().replace("Z", "000Z"),
        regarding: { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "default", uid },
        reason: "Tested",
        note: "something happened",
        type: "Normal",
        action: "Test",
        reportingController: "test",
        reportingInstance: "test-0",
      };
      await applied(event);
      expect(await kubectl("events")).toMatch(/Normal\s+Tested\s+Deployment\/web\s+something happened/);
      expect(await kubectl("get events")).toMatch(/Normal\s+Tested\s+deployment\/web\s+something happened/);
      expect(await kubectl("describe deploy web")).toMatch(/Tested\s+\S+\s+test\s+something happened/);
    });

    test("logs come from whoever runs the pods, followed by label", async () => {
      const chunks = ["first line\n", "second line\n"];
      server.onPodLogs(async function* ({ pod, container, follow, signal }) {
        yield* chunks.map((chunk) => `${pod}/${container} ${chunk}`);
        if (follow)
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      });
      await kubectl("run runner --image=img --labels=app=runner");
      expect(await kubectl("logs runner")).toBe("runner/runner first line\nrunner/runner second line\n");
      const following = background("logs -f -l app=runner");
      await following.output(/second line/, 10_000);
      await ended(following);
    });

    test("api-resources, delete and the life of a namespace", async () => {
      const resources = await kubectl("api-resources");
      expect(resources).toMatch(
        /llminferenceservices\s+llmisvc\s+serving\.kserve\.io\/v1alpha2\s+true\s+LLMInferenceService/,
      );
      await kubectl("create namespace other");
      await kubectl("create configmap x -n other --from-literal=a=b");
      await kubectl("delete namespace other --timeout=20s");
      expect((await attempt(["get", "namespace", "other"])).stderr).toContain("NotFound");
      await kubectl("delete deploy,svc,cm,secret,pod --all --timeout=20s");
      await until("nothing is left", async () => (await kubectl("get all -o name")) === "");
    });
  });
});
