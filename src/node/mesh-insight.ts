// What all nodes of the mesh know together: each tells of itself, the asked one adds it up. Who
// does not answer within a second is named as silent and holds up nobody.

import type { PeerId } from "../core/action.ts";
import { type Code, codes, failureOf, MeshError } from "../core/error.ts";
import type { Insight } from "../ingress/insight.ts";
import { startHostQuestions } from "../mesh/host-questions.ts";
import { lineSearch } from "../telemetry/log-ring.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  type ActionLine,
  Answer,
  type BuildProfile,
  type HostFigures,
  type LogLines,
  Question,
  type ReadLogRequest,
} from "../wire/gen/builder/node/v1/insight.ts";
import { profileOfParts } from "./build-profile.ts";
import { answerHost, type Told } from "./insight-answers.ts";
import type { Member } from "./member.ts";
import { checkList, checkLogRequest, insightBounds, type OwnInsight } from "./own-insight.ts";

/** What it works with. */
export interface MeshInsightDeps {
  /** Name of this node for people. */
  readonly name: string;
  readonly member: Member;
  readonly own: OwnInsight;
  readonly log: Log;
}

type Asked = NonNullable<Question["question"]>;

interface Heard<T> {
  readonly answers: readonly T[];
  readonly silent: string[];
  readonly refused: string[];
}

/** How long another node may take, ms. */
const answerMs = 1000;
/** Figures, and a build, are asked of the others once in so many ms, however many watch. */
const freshMs = 900;
/** Bound: sentences on what looks wrong. */
const troublesMax = 20;

/** Answers for the mesh, and other nodes for this one. */
export async function startMeshInsight(deps: MeshInsightDeps): Promise<Insight> {
  const { member, own, log } = deps;
  const { mesh, core } = member;
  const questions = await startHostQuestions({
    mesh,
    log,
    answer: (from, bytes) => answerHost(own, from.roles, bytes),
  });
  const others = () => core.members.filter(({ state }) => state !== "dead");

  async function ask(peer: PeerId, question: Asked): Promise<Told> {
    const bytes = await questions.ask(peer, encodeBytes(Question, { question }), answerMs);
    const { answer: told } = Answer.decode(bytes);
    if (told === undefined) throw new MeshError("UNAVAILABLE", "It knows no such question.");
    if (told.$case !== "refusal") return told;
    const { code, message } = told.value;
    throw new MeshError(codeOf(code), message.slice(0, insightBounds.textMax));
  }

  /** What every other node answers, and the names of those that do not or will not. */
  async function askAll<T>(
    question: Asked,
    read: (told: Told, name: string) => T | undefined,
  ): Promise<Heard<T>> {
    const [silent, refused]: [string[], string[]] = [[], []];
    const answers = await Promise.all(
      others().map(async ({ peer, name }) => {
        try {
          return read(await ask(peer, question), name || peer);
        } catch (error) {
          const { code, message } = failureOf(error);
          log("debug", `${name} did not tell: ${message}`);
          (code === "UNAVAILABLE" ? silent : refused).push(name || peer);
          return undefined;
        }
      }),
    );
    return { answers: answers.filter((one) => one !== undefined), silent, refused };
  }

  async function allFigures(): Promise<HostFigures[]> {
    const told = await Promise.all(
      others().map(async ({ peer, name }) => {
        try {
          const one = await ask(peer, { $case: "figures", value: {} });
          if (one.$case === "figures") return { ...one.value, peer, name };
        } catch (error) {
          log("debug", `${name} did not tell: ${failureOf(error).message}`);
        }
        return silentHost(peer, name);
      }),
    );
    return [own.figures(), ...told];
  }

  const recentFigures = sharedFor(freshMs, allFigures);

  async function build(invocation: string): Promise<BuildProfile> {
    const mine = own.build(invocation);
    const asked = await askAll({ $case: "build", value: { invocation } }, (told) =>
      told.$case === "build" ? told.value : undefined,
    );
    const untold = [...asked.silent, ...asked.refused];
    return profileOfParts([mine, ...asked.answers], invocation, untold);
  }

  /** The last lines of all hosts, the oldest first: by their age, as clocks differ. */
  async function allLogs(request: ReadLogRequest): Promise<LogLines> {
    const isMeant = lineSearch(request.search);
    const value = { ...request, all: false };
    const mine = await own.log(value);
    const { answers, silent, refused } = await askAll({ $case: "log", value }, (told, host) =>
      // A node of before searches nothing.
      told.$case === "log"
        ? told.value.lines.filter(isMeant).map((line) => ({ ...line, host }))
        : undefined,
    );
    const lines = [mine.lines.map((line) => ({ ...line, host: deps.name })), ...answers].flat();
    lines.sort((a, b) => b.ageMs - a.ageMs || a.seq - b.seq);
    return { lines: lines.slice(-request.limit), silent, refused };
  }

  const recentBuild = sharedFor(freshMs, build);

  return {
    figures: async () => {
      const hosts = await recentFigures("");
      return { hosts, troubles: allTroubles(hosts) };
    },
    actions: async (request) => {
      const { filter, skip, limit } = checkList(request);
      // All that may be on the wanted page, whoever has it.
      const value = { filter, skip: 0, limit: skip + limit };
      const mine = await own.actions(value);
      const asked = await askAll({ $case: "actions", value }, (told) =>
        told.$case === "actions" ? told.value : undefined,
      );
      const lists = [mine, ...asked.answers];
      return {
        actions: inOrder(
          filter,
          lists.flatMap(({ actions }) => actions),
        ).slice(skip, skip + limit),
        total: lists.reduce((sum, { total }) => sum + total, 0),
        silent: asked.silent,
      };
    },
    explain: async (request) => {
      try {
        return await own.explain(request);
      } catch (error) {
        if (failureOf(error).code !== "NOT_FOUND") throw error;
        const asked = await askAll({ $case: "explain", value: request }, (told) =>
          told.$case === "explanation" ? told.value : undefined,
        );
        const [found] = asked.answers;
        if (found !== undefined) return found;
        throw error;
      }
    },
    build: ({ invocation }) => recentBuild(invocation),
    log: async (request) => {
      if (checkLogRequest(request).all) return allLogs(request);
      const peer = hostNamed(member, deps.name, request.node);
      if (peer === undefined) return own.log(request);
      const told = await ask(peer, { $case: "log", value: request });
      if (told.$case === "log") return told.value;
      throw new MeshError("UNAVAILABLE", `${request.node} answered something else.`);
    },
    cancel: async (request) => {
      const mine = await own.cancel(request);
      const asked = await askAll({ $case: "cancel", value: request }, (told) =>
        told.$case === "cancelled" ? told.value : undefined,
      );
      const all = [mine, ...asked.answers];
      const operations = all.reduce((sum, one) => sum + one.operations, 0);
      if (operations > 0 || asked.silent.length > 0) return { operations, silent: asked.silent };
      throw new MeshError(
        "NOT_FOUND",
        `Nothing unfinished is called ${JSON.stringify(request.what.slice(0, 80))}, or it is ` +
          "somebody else's. `builder remote actions --json` names operations and invocations.",
      );
    },
  };
}

interface Shared<T> {
  readonly atMs: number;
  readonly question: string;
  readonly answer: Promise<T>;
}

/** The answer to the question asked last, for whoever asks the same within `ms`. */
function sharedFor<T>(ms: number, ask: (question: string) => Promise<T>) {
  let recent: Shared<T> | undefined;
  return (question: string): Promise<T> => {
    const nowMs = performance.now();
    if (recent?.question !== question || nowMs - recent.atMs > ms) {
      recent = { atMs: nowMs, question, answer: ask(question) };
    }
    return recent.answer;
  };
}

function inOrder(filter: string, actions: readonly ActionLine[]): ActionLine[] {
  const unfinished = ["unfinished", "running", "queued"].includes(filter);
  const key = (line: ActionLine) => {
    if (filter === "slow") return -line.runMs;
    return unfinished ? -line.ageMs : line.stateMs;
  };
  return [...actions].sort((a, b) => key(a) - key(b));
}

function allTroubles(hosts: readonly HostFigures[]): string[] {
  const all = hosts.flatMap(({ name, silent, troubles }, at) => {
    if (silent) return [`${name} does not answer: is it up, and its link good?`];
    return at === 0 ? troubles : troubles.map((text) => `Seen from ${name}: ${text}`);
  });
  return all.slice(0, troublesMax);
}

function silentHost(peer: PeerId, name: string): HostFigures {
  return {
    ...{ peer, name: name || peer, silent: true, pending: 0, executing: 0, ended: 0, failed: 0 },
    ...{ lagMs: 0, loadPercent: 0, cores: 0, workers: [], links: [], beats: [], waits: [] },
    troubles: [],
  };
}

/** The peer that is meant; undefined for this node. NOT_FOUND, INVALID_ARGUMENT for two. */
function hostNamed({ core, mesh }: Member, own: string, wanted: string): PeerId | undefined {
  if (wanted === "" || wanted === mesh.peerId || wanted === own) return undefined;
  const found = core.members.filter(({ peer, name }) => peer === wanted || name === wanted);
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first.peer;
  if (second !== undefined) {
    const peers = found.map(({ peer }) => peer).join(", ");
    throw new MeshError("INVALID_ARGUMENT", `Several are called ${wanted}: name one of ${peers}.`);
  }
  const text = `No host is called ${JSON.stringify(wanted.slice(0, 80))}.`;
  throw new MeshError("NOT_FOUND", `${text} \`builder mesh members\` lists them.`);
}

function codeOf(text: string): Code {
  return codes.find((code) => code === text) ?? "INTERNAL";
}
