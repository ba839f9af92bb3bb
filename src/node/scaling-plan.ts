// What starting one machine would mean, call by call, without any call being made.

import { createProvider } from "../cloud/create-provider.ts";
import type { PlannedCall } from "../cloud/provider.ts";
import { MeshError } from "../core/error.ts";
import { providerCallDefaults } from "./provider-calls.ts";
import { configuredCloud, parseWishes } from "./scaling-config.ts";

/** The calls for a configuration as `--print` shows it. FAILED_PRECONDITION: it names no cloud. */
export async function planLaunch(json: string): Promise<readonly PlannedCall[]> {
  const wishes = parseWishes(json);
  const cloud = wishes.provider?.["provider"];
  if (cloud !== "aws" && cloud !== "k8s") {
    throw new MeshError(
      "FAILED_PRECONDITION",
      "Workers are processes of this machine: no cloud is called. builder remote configure " +
        "--provider aws … changes that.",
    );
  }
  const deps = { meshId: "mesh", self: "dry-run", now: Date.now };
  const provider = await createProvider(configuredCloud(wishes, cloud), deps);
  const { joinWithinMs, aloneMsMax } = providerCallDefaults;
  const token = "mesh-1-dry-run";
  const boot = { invitation: "builder://join/…", name: token, joinWithinMs, aloneMsMax };
  const market = wishes.spot === true && (wishes.onDemandBase ?? 0) === 0 ? "spot" : "on-demand";
  try {
    return provider.plan({ token, market, boot });
  } finally {
    await provider.close();
  }
}
