import { readFileSync, readdirSync } from "node:fs";
import { type KubeJson, at } from "./playground.ts";

/** The processes that run in a pod: they carry its address in their environment. */
function processesOf(pod: KubeJson): number[] {
  const marker = `POD_IP=${String(at(pod, "status.podIP"))}\0`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return `${readFileSync(`/proc/${name}/environ`, "utf8")}\0`.includes(marker);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Ends everything that runs in a pod at once. */
export function killPod(pod: KubeJson): void {
  for (const pid of processesOf(pod)) process.kill(pid, "SIGKILL");
}
