// What is wrong with this machine's place in its mesh, in words, with the remedy: `builder mesh
// doctor`.

import { statfsSync } from "node:fs";
import { join } from "node:path";
import { openFolders } from "../cas/private-folder.ts";
import { failureOf } from "../core/error.ts";
import type { MemberRecord } from "../core/message.ts";
import { askHow } from "../mesh/enrolment.ts";
import { runningMember } from "./enter-mesh.ts";
import { type MeshState, openMeshState } from "./mesh-state.ts";
import { software } from "./version.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly isFine: boolean;
  /** A sentence or two; where something is wrong, with the remedy. */
  readonly text: string;
}

/** Clocks further apart than this, in ms, are worth a word; links bear three days. */
const clockMsMax = 60_000;
/** A certificate that ends sooner than this, in ms, is worth a word. */
const expiryMsMin = 30 * 86_400_000;
/** Less free disk than this, in bytes, is worth a word. */
const freeBytesMin = 1 << 30;
/** Members that are asked; more only take time. */
const askedMax = 32;

/** Looks at everything; never throws. */
export async function examineMesh(options: {
  readonly store: string;
  readonly now: () => number;
  /** What the running node knows besides the state; undefined where none answers. */
  readonly node?: { readonly version: string; readonly members: readonly Asked[] } | undefined;
}): Promise<Finding[]> {
  const { store, now, node } = options;
  const folder = join(store, "mesh");
  let state: MeshState | undefined;
  try {
    state = await openMeshState(folder, now);
  } catch (error) {
    return [bad(failureOf(error).message)];
  }
  if (state === undefined) {
    return [
      bad(
        `${store} belongs to no mesh. Paste the line that \`builder mesh invite\` shows on a ` +
          "member, or begin one: builder serve --remote. Another store: --store.",
      ),
    ];
  }
  const own = state.self.peerId;
  const known = [...(node?.members ?? []), ...state.members()];
  const asked = [...new Map(known.map((member) => [member.peer, member])).values()].filter(
    ({ peer }) => peer !== own && !state.revocations.isRevoked(peer, 0),
  );
  const others = await Promise.all(asked.slice(0, askedMax).map((member) => ask(member, now)));
  return [
    ...membership(state, now()),
    nodeRuns(folder, node?.version),
    ...(asked.length === 0 ? [fine("No other node is known.")] : others.flat()),
    disk(store),
    closed(store),
  ];
}

type Asked = Pick<MemberRecord, "peer" | "name" | "addresses">;

function membership(state: MeshState, nowMs: number): Finding[] {
  const { self, revocations, authority } = state;
  const { name } = state.settings();
  const ends = new Date(self.notAfterMs).toISOString().slice(0, 10);
  const again = "Join again with a new invitation: builder mesh invite on a member.";
  const findings = [
    fine(`"${self.name}" (${self.peerId}) is a member of "${name}" until ${ends}.`),
  ];
  if (revocations.isRevoked(self.peerId, self.notBeforeMs)) {
    findings.push(bad(`This machine was put out of the mesh. ${again}`));
  }
  if (self.notAfterMs < nowMs) findings.push(bad(`Its membership has ended. ${again}`));
  else if (self.notAfterMs - nowMs < expiryMsMin) {
    findings.push(bad(`Its membership ends soon. ${again}`));
  }
  if (authority !== undefined) findings.push(fine("It holds the mesh's key: it can invite."));
  return findings;
}

function nodeRuns(folder: string, version: string | undefined): Finding {
  const process = runningMember(folder);
  if (process === undefined) {
    return bad("No node runs here. Start it: builder join (or builder serve --remote).");
  }
  if (version === undefined) {
    return bad(
      `The node runs (process ${process}) but does not answer where it was asked. ` +
        "Name its address with --coordinator.",
    );
  }
  const ours = software.replace("builder/", "");
  if (version === ours) return fine(`The node runs (process ${process}, version ${version}).`);
  return bad(`The node is version ${version}, this program ${ours}. Restart the node.`);
}

async function ask(member: Asked, now: () => number): Promise<Finding[]> {
  const who = `"${member.name}"`;
  if (member.addresses.length === 0) {
    return [fine(`${who} only dials out, so it cannot be asked.`)];
  }
  try {
    const answer = await askHow(member, software);
    // It read its clock somewhere within that time.
    const clock = clockOf(who, now() - answer.nowMs);
    const isSame = answer.software === software;
    const version = isSame
      ? []
      : [bad(`${who} runs ${answer.software}, this machine ${software}. Update the older one.`)];
    return [fine(`${who} answers within ${Math.ceil(answer.tookMs)} ms.`), clock, ...version];
  } catch (error) {
    return [bad(`${who} cannot be reached: ${failureOf(error).message}`)];
  }
}

function clockOf(who: string, offMs: number): Finding {
  const seconds = Math.round(Math.abs(offMs) / 1000);
  if (Math.abs(offMs) <= clockMsMax) return fine(`Its clock agrees within ${seconds + 1} s.`);
  const direction = offMs > 0 ? "behind" : "ahead of";
  return bad(
    `The clock of ${who} is ${seconds} s ${direction} this machine's. Set the wrong one ` +
      "(timedatectl set-ntp true): links bear three days, but ages and expiry are told wrongly.",
  );
}

function disk(store: string): Finding {
  try {
    const { bavail, bsize } = statfsSync(store);
    const free = bavail * bsize;
    const gib = (free / 2 ** 30).toFixed(1);
    if (free >= freeBytesMin) return fine(`${gib} GiB are free for the store.`);
    return bad(`Only ${gib} GiB are free for the store. Free space, or lower --store-max.`);
  } catch (error) {
    return bad(`The store ${store} cannot be read: ${failureOf(error).message}`);
  }
}

function closed(store: string): Finding {
  const open = openFolders(store);
  if (open.length === 0) return fine("Other accounts of this machine cannot enter the store.");
  return bad(
    `Other accounts of this machine may enter ${open.join(", ")}: sources, results and keys are ` +
      `there. Close it: chmod 700 ${store}, as its owner.`,
  );
}

function fine(text: string): Finding {
  return { isFine: true, text };
}

function bad(text: string): Finding {
  return { isFine: false, text };
}
