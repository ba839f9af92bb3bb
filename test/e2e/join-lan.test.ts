// `builder join --lan` between two hosts with networks of their own: by a real multicast, at a real
// terminal.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import {
  createNetwork,
  type NamespacedHost,
  type Network,
  namespacesMissing,
} from "../support/namespaces.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startServing,
} from "../support/programs.ts";
import { type AtTerminal, startAtTerminal } from "../support/terminal.ts";

const missing = namespacesMissing();
const deadlineMs = 60_000;

let place: Place;
let network: Network | undefined;
let desk: SpawnedNode | undefined;
let laptop: AtTerminal | undefined;
beforeEach(() => {
  place = createPlace();
});
afterEach(async () => {
  laptop?.type("\x03");
  await laptop?.ended;
  await desk?.stop();
  network?.remove();
  place.remove();
});

const builder = join(root, "cli/bin/builder");
const within = ({ within: before }: NamespacedHost, ...args: readonly string[]) => {
  const [program = "", ...rest] = [...before, builder, ...args];
  return { program, args: rest };
};

test.skipIf(missing !== undefined)(
  `a machine joins the mesh that it heard and chose${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  async () => {
    network = createNetwork(2);
    const [here, there] = network.hosts as [NamespacedHost, NamespacedHost];
    // As a way to everywhere would be on a host at home.
    for (const { within: on } of [here, there]) {
      const route = ["ip", "route", "add", "224.0.0.0/4", "dev", "eth0"];
      execFileSync(on[0] as string, [...on.slice(1), ...route]);
    }
    const own = (name: string) => [
      ...["--name", name, "--store", join(place.folder, name), "--workers-min", "1"],
      ...["--coordinator", "127.0.0.1:9000"],
    ];
    desk = await startServing(place, ["serve", "--remote", "--work-stealing", ...own("desk")], {
      within: here.within,
    });

    const piped = within(there, "join", "--lan", ...own("laptop"));
    const refused = await eventually(
      "it is heard",
      async () => {
        const ended = await run(place, place.folder, piped.program, piped.args);
        return ended.stdout.includes(`desk ${here.address}:`) ? ended : undefined;
      },
      deadlineMs,
    );
    expect(refused.stderr).toMatch(/at a terminal only.*builder join 'builder:\/\/join/);
    expect(refused.code).toBe(3);

    // A host under load may miss what is said in the 3 s that it listens.
    laptop = await eventually(
      "it asks",
      async () => {
        const size = { columns: 200, rows: 40 };
        const asked = startAtTerminal(place, place.folder, piped.program, piped.args, size);
        const asks = asked.says('Join "desk"? [y/n]');
        return (await asks.then(
          () => true,
          () => false,
        ))
          ? asked
          : undefined;
      },
      deadlineMs,
    );
    laptop.type("y\n");
    await laptop.says("Run `builder mesh invite` on desk, and paste its line here:");
    const inviting = within(here, "mesh", "invite", "--coordinator", "127.0.0.1:9000");
    const invited = await run(place, place.folder, inviting.program, inviting.args);
    laptop.type(`${/builder join '[^']+'/.exec(invited.stdout)?.[0]}\n`);
    await laptop.says('Member "laptop" of the mesh "desk"');
    await laptop.says("service ready");
    await eventually("they meet", () => desk?.said().includes("laptop is in the mesh"), deadlineMs);
    laptop.type("\x03");
    const code = await laptop.ended;
    laptop = undefined;
    expect(code).toBe(0);
  },
  240_000,
);
