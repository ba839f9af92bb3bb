// Machines of cloud doubles as processes of this one: each runs what a cloud would run, with a
// store and a port of its own, and its power switch ends its script.

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DoubledInstance } from "./ec2-double.ts";
import type { KubernetesObject } from "./kubernetes-double.ts";
import { type Place, root } from "./programs.ts";

/** A place for machines. */
export interface MachineRoom {
  /** Runs a machine's user data. */
  boot(userData: string, instance: DoubledInstance): ChildProcess;
  /** Runs a pod's worker container. */
  start(pod: KubernetesObject, env: Readonly<Record<string, string>>): ChildProcess;
  /** What all machines said. */
  said(): string;
}

/** Makes one in a test's folder; `env` is added to what machines see. */
export function createMachineRoom(place: Place, env: NodeJS.ProcessEnv = {}): MachineRoom {
  const bin = join(place.folder, "machine-bin");
  mkdirSync(bin);
  write(join(bin, "shutdown"), "#!/bin/sh\nexit 0\n");
  const builder = join(root, "cli/bin/builder");
  // Machines have ports of their own; these have one host.
  write(join(bin, "builder"), `#!/bin/sh\nexec ${builder} "$@" --coordinator 127.0.0.1:0\n`);
  let said = "";

  function run(name: string, args: readonly string[], more: NodeJS.ProcessEnv): ChildProcess {
    const cache = join(place.folder, `machine-${name}`);
    mkdirSync(cache);
    const [program = "", ...rest] = args;
    const child = spawn(program, rest, {
      // A group of its own, so that pulling the plug reaches all of it.
      detached: true,
      cwd: cache,
      env: {
        ...place.env,
        ...{ PATH: `${bin}:${process.env["PATH"]}`, HOME: cache, XDG_CACHE_HOME: cache },
        ...env,
        ...more,
      },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    return child;
  }

  return {
    boot: (userData, { id }) => run(id, ["sh", "-c", userData], {}),
    start: (pod, secrets) => {
      const { containers } = pod["spec"];
      const worker = containers.find(({ name }: { name: string }) => name === "builder");
      const expand = (word: string) =>
        word.replaceAll(/\$\$|\$\((\w+)\)/g, (all, name) =>
          all === "$$" ? "$" : (secrets[name] ?? ""),
        );
      const args = [...worker.command, ...worker.args.map(expand)];
      return run(pod.metadata.name, args, { ...secrets });
    },
    said: () => said,
  };
}

function write(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}
