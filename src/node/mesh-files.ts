// The files of a node's membership, in one folder, each written whole: `node.key`,
// `membership.json`, `settings.json`, `members.json`, `revocations.json`, `admitted.json`,
// `port.json`.

import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { MemberRecord } from "../core/message.ts";
import type { SignedRevocation } from "../mesh/revocations.ts";
import type { InviteRole } from "./invites.ts";
import { base64, type Fields, readJson, readWhole, writeJson, writeWhole } from "./state-files.ts";

/** What the mesh agreed on. */
export interface MeshSettings {
  /** The mesh's name for people; at most 64 characters. */
  readonly name: string;
  /** Whether idle workers take work from other hosts. */
  readonly workStealing: boolean;
  /** Unix ms of that decision; 0 where none was made. */
  readonly workStealingVersion: number;
}

/** Who this node is. */
export interface KeptMembership {
  /** Serialised private key. */
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  readonly meshId: Uint8Array;
}

/** Somebody whom this node let in. */
export interface Admitted {
  readonly peer: PeerId;
  readonly name: string;
  readonly role: InviteRole;
  /** Unix ms. */
  readonly atMs: number;
}

/** Readers throw DATA_LOSS, which names the file and the remedy. */
export interface MeshFiles {
  readonly folder: string;
  key(): Uint8Array | undefined;
  membership(): KeptMembership | undefined;
  saveMembership(membership: KeptMembership): void;
  settings(): MeshSettings;
  saveSettings(settings: MeshSettings): void;
  members(): readonly MemberRecord[];
  saveMembers(members: readonly MemberRecord[]): void;
  /** The port that other nodes know; 0 where none was used yet. */
  port(): number;
  savePort(port: number): void;
  revocations(): readonly SignedRevocation[];
  saveRevocations(all: readonly SignedRevocation[]): void;
  admitted(): readonly Admitted[];
  addAdmitted(member: Admitted): void;
  /** Removes everything that makes this node a member. */
  forget(): void;
}

/** Bound: admissions remembered; the oldest go first. */
const admittedMax = 4096;

const rejoin = "Restore it, or remove the folder and join again: `builder join LINK`.";
const learnAgain = "Remove it: the other members tell it again.";

/** The files of `folder`, read when asked for. */
export function loadMeshFiles(folder: string): MeshFiles {
  const at = (name: string) => join(folder, name);
  const admitted = () =>
    readJson(at("admitted.json"), (file) => file.list("admitted").map(toAdmitted), "Remove it.") ??
    [];
  const key = () => readWhole(at("node.key"));
  return {
    folder,
    key,
    membership: () => {
      const parse = (file: Fields) => ({ certificate: file.bytes("certificate") });
      const kept = readJson(at("membership.json"), withMesh(parse), rejoin);
      if (kept === undefined) return undefined;
      const found = key();
      if (found !== undefined) return { ...kept, key: found };
      throw new MeshError("DATA_LOSS", `${at("node.key")} is missing. ${rejoin}`);
    },
    saveMembership: ({ key: own, certificate, meshId }) => {
      writeWhole(at("node.key"), own);
      const membership = { meshId: base64(meshId), certificate: base64(certificate) };
      writeJson(at("membership.json"), membership);
    },
    settings: () => readJson(at("settings.json"), toSettings, learnAgain) ?? noSettings,
    saveSettings: (settings) => writeJson(at("settings.json"), settings),
    members: () =>
      readJson(at("members.json"), (file) => file.list("members").map(toMember), learnAgain) ?? [],
    saveMembers: (members) => writeJson(at("members.json"), { members }),
    port: () => readJson(at("port.json"), (file) => file.number("port"), "Remove it.") ?? 0,
    savePort: (port) => writeJson(at("port.json"), { port }),
    revocations: () =>
      readJson(at("revocations.json"), (file) => file.list("revoked").map(toSigned), learnAgain) ??
      [],
    saveRevocations: (all) => {
      const revoked = all.map(({ body, signature }) => ({
        body: base64(body),
        signature: base64(signature),
      }));
      writeJson(at("revocations.json"), { revoked });
    },
    admitted,
    addAdmitted: (member) => {
      const others = admitted().filter(({ peer }) => peer !== member.peer);
      writeJson(at("admitted.json"), { admitted: [...others, member].slice(-admittedMax) });
    },
    forget: () => {
      // Without this key nobody can be let into that mesh any more, so it is set aside, not lost.
      if (readWhole(at("authority.key")) !== undefined) {
        renameSync(at("authority.key"), at("authority.left.key"));
      }
      for (const name of membershipFiles) rmSync(at(name), { force: true });
    },
  };
}

const membershipFiles = [
  // First: without it the rest is nobody's.
  "membership.json",
  ...["node.key", "settings.json", "members.json", "revocations.json"],
  ...["invites.json", "admitted.json", "port.json"],
];

const noSettings: MeshSettings = { name: "", workStealing: false, workStealingVersion: 0 };

function withMesh<T>(parse: (file: Fields) => T) {
  return (file: Fields) => ({ ...parse(file), meshId: file.bytes("meshId") });
}

function toSettings(file: Fields): MeshSettings {
  return {
    name: file.text("name"),
    workStealing: file.flag("workStealing"),
    workStealingVersion: file.number("workStealingVersion"),
  };
}

function toMember(fields: Fields): MemberRecord {
  return {
    peer: fields.text("peer"),
    name: fields.text("name"),
    addresses: fields.texts("addresses"),
    incarnation: fields.number("incarnation"),
    version: fields.number("version"),
    left: fields.flag("left"),
  };
}

function toSigned(fields: Fields): SignedRevocation {
  return { body: fields.bytes("body"), signature: fields.bytes("signature") };
}

function toAdmitted(fields: Fields): Admitted {
  const role = fields.text("role") === "admin" ? "admin" : "host";
  return {
    peer: fields.text("peer"),
    name: fields.text("name"),
    role,
    atMs: fields.number("atMs"),
  };
}
