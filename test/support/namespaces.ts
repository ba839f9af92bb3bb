// Hosts with a network of their own on one machine: network namespaces joined by a bridge. For root
// on Linux with iproute2; elsewhere tests that want them are skipped with the reason.

import { spawnSync } from "node:child_process";

/** One host: `within` runs a program there. */
export interface NamespacedHost {
  readonly name: string;
  readonly address: string;
  readonly within: readonly string[];
  /** Takes its cable out, and puts it in again. */
  unplug(): void;
  plug(): void;
}

/** Several hosts on one bridge. */
export interface Network {
  readonly hosts: readonly NamespacedHost[];
  remove(): void;
}

/** Why there can be no such network here; undefined where there can. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "network namespaces want root";
  const name = `b${process.pid}probe`;
  const added = spawnSync("ip", ["netns", "add", name]);
  if (added.error !== undefined) return "iproute2 is not installed";
  if (added.status !== 0) return `network namespaces are not permitted: ${added.stderr}`;
  spawnSync("ip", ["netns", "del", name]);
  return undefined;
}

/** Makes a bridge and this many hosts on it, each also with its loopback. */
export function createNetwork(count: number): Network {
  const hub = `b${process.pid}hub`;
  const made = [hub];
  // Of each test file's own process: two files may run at once.
  const subnet = `10.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 200}`;
  ip("netns", "add", hub);
  inside(hub, "link", "add", "bridge", "type", "bridge");
  inside(hub, "link", "set", "bridge", "up");
  const hosts = Array.from({ length: count }, (_, at): NamespacedHost => {
    const [name, cable] = [`b${process.pid}h${at}`, `p${at}`];
    const address = `${subnet}.${at + 1}`;
    ip("netns", "add", name);
    made.push(name);
    inside(hub, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name);
    inside(hub, "link", "set", cable, "master", "bridge");
    inside(hub, "link", "set", cable, "up");
    inside(name, "addr", "add", `${address}/24`, "dev", "eth0");
    inside(name, "link", "set", "eth0", "up");
    inside(name, "link", "set", "lo", "up");
    return {
      name,
      address,
      within: ["ip", "netns", "exec", name],
      unplug: () => inside(hub, "link", "set", cable, "down"),
      plug: () => inside(hub, "link", "set", cable, "up"),
    };
  });
  return {
    hosts,
    remove: () => {
      for (const name of made.reverse()) spawnSync("ip", ["netns", "del", name]);
    },
  };
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", args);
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

function inside(name: string, ...args: readonly string[]): void {
  ip("-n", name, ...args);
}
