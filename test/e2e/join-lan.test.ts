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
const deadlineMs = 120_000;

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
const asked = ["--coordinator", "127.0.0.1:9000"];
/** A program and its arguments that run `builder` on a host. */
const at = (host: NamespacedHost, ...args: readonly string[]): [string, readonly string[]] => {
  const [program = "", ...rest] = [...host.within, builder, ...args];
  return [program, rest];
};
const own = (name: string) => [
  ...["--name", name, "--store", join(place.folder, name), "--workers-min", "1", ...asked],
];

/** `builder join --lan` once it asks. A host under load may miss what is said while it listens. */
const asking = (name: string, host: NamespacedHost) =>
  eventually(
    "it asks",
    async () => {
      const size = { columns: 200, rows: 40 };
      const [program, args] = at(host, "join", "--lan", ...own(name));
      const started = startAtTerminal(place, place.folder, program, args, size);
      const asks = started.says('Join "desk"? [y/n]');
      return asks.then(
        () => started,
        () => false as const,
      );
    },
    deadlineMs,
  );

/** The same, where Enter was pressed instead of pasting a line. */
async function knocking(name: string, host: NamespacedHost): Promise<AtTerminal> {
  const started = await asking(name, host);
  started.type("y\n");
  await started.says("press Enter to knock:");
  started.type("\n");
  await started.says("Ctrl-C ends it.");
  return started;
}

/** It became a member, and ends by Ctrl-C. */
async function joined(name: string): Promise<void> {
  await laptop?.says(`Member "${name}" of the mesh "desk"`);
  await laptop?.says("service ready");
  await eventually("they meet", () => desk?.said().includes(`${name} is in the mesh`), deadlineMs);
  laptop?.type("\x03");
  expect(await laptop?.ended).toBe(0);
  laptop = undefined;
}

test.skipIf(missing !== undefined)(
  `machines join the mesh that they chose, by a line or a knock${missing === undefined ? "" : ` (skipped: ${missing})`}`,
  async () => {
    network = createNetwork(2);
    const [here, there] = network.hosts as [NamespacedHost, NamespacedHost];
    // As a way to everywhere would be on a host at home.
    for (const { within: on } of [here, there]) {
      const route = ["ip", "route", "add", "224.0.0.0/4", "dev", "eth0"];
      execFileSync(on[0] as string, [...on.slice(1), ...route]);
    }
    desk = await startServing(place, ["serve", "--remote", "--work-stealing", ...own("desk")], {
      within: here.within,
    });

    const refused = await eventually(
      "it is heard",
      async () => {
        const ended = await run(
          place,
          place.folder,
          ...at(there, "join", "--lan", ...own("laptop")),
        );
        return ended.stdout.includes(`desk ${here.address}:`) ? ended : undefined;
      },
      deadlineMs,
    );
    expect(refused.stderr).toMatch(/at a terminal only.*builder join 'builder:\/\/join/);
    expect(refused.code).toBe(3);

    laptop = await asking("laptop", there);
    laptop.type("y\n");
    await laptop.says("and paste its line here, or press Enter to knock:");
    const invited = await run(place, place.folder, ...at(here, "mesh", "invite", ...desk.asOwner));
    laptop.type(`${/builder join '[^']+'/.exec(invited.stdout)?.[0]}\n`);
    await joined("laptop");

    laptop = await knocking("tablet", there);
    laptop.type("\x03");
    expect(await laptop.ended).toBe(3);
    expect(laptop.said()).toContain("No mesh was joined.");
    const admit = (...code: readonly string[]) =>
      run(place, place.folder, ...at(here, "mesh", "admit", ...code, ...(desk?.asOwner ?? [])));
    await eventually("it is gone", async () => /Nobody knocks/.test((await admit()).stdout));

    laptop = await knocking("tablet", there);
    const [, first = "", second = ""] =
      /builder mesh admit (\d{3}) (\d{3})/.exec(laptop.said()) ?? [];
    const listed = await admit();
    expect(listed.stdout).toMatch(new RegExp(`^tablet +${there.address} `, "m"));
    expect(listed.stdout).not.toContain(first + second);
    const wrong = await admit(`${(Number(first + second) + 1) % 1_000_000}`.padStart(6, "0"));
    expect(wrong.stderr).toContain("No machine that knocks here has this code");
    expect(wrong.code).not.toBe(0);
    const right = await admit(first, second);
    expect(right.stdout).toContain(`tablet at ${there.address} is let in`);
    await laptop.says("desk lets this machine in. Did that command say so, too? [y/n]");
    laptop.type("y\n");
    await joined("tablet");
  },
  480_000,
);
