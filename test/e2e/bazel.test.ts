import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import {
  createPlace,
  debianBazel,
  type Ended,
  type Place,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";
import { testBazel } from "./bazel-list.ts";

// Stock Bazel, as Debian packages it (bazel-bootstrap), against our port.
const installed = existsSync(debianBazel);
if (!installed)
  process.stderr.write("SKIPPED Bazel's tests: no bazel here (apt install bazel-bootstrap)\n");

let place: Place;
let node: SpawnedNode;
let workspace: string;

function bazel(...args: string[]): Promise<Ended> {
  const home = `--output_user_root=${join(place.folder, "bazel")}`;
  return run(place, workspace, debianBazel, [home, ...args]);
}

describe.skipIf(!installed)("stock Bazel", () => {
  beforeAll(async () => {
    place = createPlace();
    node = await startNode(place, ["--workers-min", "2"]);
    workspace = place.example("bazel");
  });
  afterAll(async () => {
    await bazel("shutdown");
    await node.stop();
    execFileSync("chmod", ["-R", "u+w", join(place.folder, "bazel")]);
    place.remove();
  });

  testBazel({
    workspace: () => workspace,
    remote: (command, ...args) =>
      bazel(command, "--config=remote", `--remote_executor=grpc://${node.address}`, ...args),
    cache: (command, ...args) =>
      bazel(command, "--config=cache", `--remote_cache=grpc://${node.address}`, ...args),
    clean: () => bazel("clean"),
  });
});
