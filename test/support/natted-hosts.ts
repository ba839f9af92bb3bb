// Two hosts at home and one that all can reach, on one machine: each home has a router that lets
// out and translates addresses (nftables), and lets nobody in that was not called. For root on
// Linux with iproute2 and nftables.

import { spawnSync } from "node:child_process";
import { namespacesMissing } from "./namespaces.ts";

/** How a router picks the port that the world sees. */
export type Translation = "same-port" | "random-port";

/** The three. */
export interface NattedHosts {
  readonly open: { readonly within: readonly string[]; readonly address: string };
  readonly homes: readonly { readonly within: readonly string[] }[];
  /** Bytes that the open host was sent so far. */
  bytesToOpen(): number;
  remove(): void;
}

/** Why they cannot be here; undefined where they can. */
export function nattedHostsMissing(): string | undefined {
  const missing = namespacesMissing();
  if (missing !== undefined) return missing;
  const { error, status } = spawnSync("nft", ["list", "ruleset"]);
  if (error !== undefined) return "nftables is not installed";
  return status === 0 ? undefined : "nftables is not permitted";
}

/** Makes them. The addresses in between are of no network of this machine, nor of a home. */
export function createNattedHosts(translation: Translation): NattedHosts {
  const made: string[] = [];
  const add = (name: string) => {
    run("ip", "netns", "add", name);
    made.push(name);
    inside(name, "link", "set", "lo", "up");
    return name;
  };
  const within = (name: string) => ["ip", "netns", "exec", name];
  const hub = add(`b${process.pid}net`);
  inside(hub, "link", "add", "bridge", "type", "bridge");
  inside(hub, "link", "set", "bridge", "up");
  const connect = (name: string, at: number) => {
    inside(hub, "link", "add", `p${at}`, "type", "veth", "peer", "name", "eth0", "netns", name);
    inside(hub, "link", "set", `p${at}`, "master", "bridge", "up");
    inside(name, "addr", "add", `198.18.0.${at}/24`, "dev", "eth0");
    inside(name, "link", "set", "eth0", "up");
  };
  const home = (at: number) => {
    const [host, router] = [add(`b${process.pid}home${at}`), add(`b${process.pid}nat${at}`)];
    connect(router, at);
    inside(host, "link", "add", "eth0", "type", "veth", "peer", "name", "lan", "netns", router);
    inside(host, "addr", "add", `192.168.${at}.2/24`, "dev", "eth0");
    inside(host, "link", "set", "eth0", "up");
    inside(router, "addr", "add", `192.168.${at}.1/24`, "dev", "lan");
    inside(router, "link", "set", "lan", "up");
    inside(host, "route", "add", "default", "via", `192.168.${at}.1`);
    run(...within(router), "sysctl", "-qw", "net.ipv4.ip_forward=1");
    run(...within(router), "nft", rules(translation));
    return { within: within(host) };
  };
  try {
    const open = add(`b${process.pid}open`);
    connect(open, 1);
    return {
      open: { within: within(open), address: "198.18.0.1" },
      homes: [home(2), home(3)],
      bytesToOpen: () =>
        Number(run(...within(open), "cat", "/sys/class/net/eth0/statistics/rx_bytes")),
      remove: () => remove(made),
    };
  } catch (error) {
    remove(made);
    throw error;
  }
}

function rules(translation: Translation): string {
  const masquerade = translation === "same-port" ? "masquerade" : "masquerade fully-random";
  const fromOutside = 'iifname "eth0" ct state != { established, related } drop';
  return [
    "table ip home {",
    `chain out { type nat hook postrouting priority 100; oifname "eth0" ${masquerade}; }`,
    `chain in { type filter hook input priority 0; ${fromOutside}; }`,
    `chain through { type filter hook forward priority 0; ${fromOutside}; }`,
    "}",
  ].join("\n");
}

function remove(names: readonly string[]): void {
  for (const name of names.toReversed()) spawnSync("ip", ["netns", "del", name]);
}

function inside(name: string, ...args: readonly string[]): void {
  run("ip", "-n", name, ...args);
}

function run(program = "", ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args);
  if (status === 0) return stdout.toString();
  throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr}`);
}
