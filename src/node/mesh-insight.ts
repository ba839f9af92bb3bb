// What all nodes of the mesh know together: each tells of itself, the asked one adds it up. Who
// does not answer within a second is named as silent and holds up nobody.

import type { PeerId } from "../core/action.ts";
import { type Code, codes, failureOf, MeshError } from "../core/error.ts";
import type { Insight } from "../ingress/insight.ts";
import { questionBounds, startHostQuestions } from "../mesh/host-questions.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  type ActionLine,
  Answer,
  type BuildPart,
  type BuildProfile,
  type HostFigures,
  type ListActionsRequest,
  Question,
} from "../wire/gen/builder/node/v1/insight.ts";
import { profileOfParts } from "./build-profile.ts";
import type { Member } from "./member.ts";
import { checkList, insightBounds, type OwnInsight } from "./own-insight.ts";

/** What it works with. */
export interface MeshInsightDeps {
  /** Name of this node for people. */
  readonly name: string;
  readonly member: Member;
  readonly own: OwnInsight;
  readonly log: Log;
}

type Asked = NonNullable<Question["question"]>;
type Told = NonNullable<Answer["answer"]>;

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
    answer: async (from, bytes) => {
      const told = await answer(own, from.roles, bytes).catch((error: unknown) => refusal(error));
      return encodeBytes(Answer, { answer: told });
    },
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

  /** What every other node answers, and the names of those that do not. */
  async function askAll<T>(question: Asked, read: (told: Told) => T | undefined) {
    const silent: string[] = [];
    const answers = await Promise.all(
      others().map(async ({ peer, name }) => {
        try {
          return read(await ask(peer, question));
        } catch (error) {
          const { code, message } = failureOf(error);
          log("debug", `${name} did not tell: ${message}`);
          if (code === "UNAVAILABLE") silent.push(name || peer);
          return undefined;
        }
      }),
    );
    return { answers: answers.filter((one) => one !== undefined), silent };
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
    return profileOfParts([mine, ...asked.answers], invocation, asked.silent);
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

/** Answers another node; workers are told nothing. */
async function answer(own: OwnInsight, roles: readonly string[], bytes: Uint8Array): Promise<Told> {
  const serves = roles.includes("host") || roles.includes("admin");
  if (!serves) throw new MeshError("PERMISSION_DENIED", "Only nodes that serve may ask.");
  const { question } = Question.decode(bytes);
  switch (question?.$case) {
    case "figures":
      return { $case: "figures", value: own.figures() };
    case "actions":
      return await fitting(own, question.value);
    case "explain":
      return { $case: "explanation", value: await own.explain(question.value) };
    case "build":
      return fittingBuild(own.build(question.value.invocation));
    case "log":
      if (!roles.includes("admin")) {
        const text = "Log lines are told to admins of the mesh only. Ask at that node itself.";
        throw new MeshError("PERMISSION_DENIED", text);
      }
      return { $case: "log", value: await own.log(question.value) };
    case "cancel":
      return { $case: "cancelled", value: await own.cancel(question.value) };
    default:
      throw new MeshError("UNIMPLEMENTED", "This node knows no such question: it is older.");
  }
}

/** As many actions as fit into an answer. */
async function fitting(own: OwnInsight, request: ListActionsRequest): Promise<Told> {
  const value = await own.actions(request);
  const told: Told = { $case: "actions", value };
  const room = questionBounds.answerBytesMax - 1024;
  while (value.actions.length > 0 && encodeBytes(Answer, { answer: told }).length > room) {
    value.actions.length = Math.floor(value.actions.length / 2);
  }
  return told;
}

/** As many actions of a build as fit into an answer, the last accepted. */
function fittingBuild(value: BuildPart): Told {
  const told: Told = { $case: "build", value };
  const room = questionBounds.answerBytesMax - 1024;
  while (value.actions.length > 0 && encodeBytes(Answer, { answer: told }).length > room) {
    value.actions.length = Math.floor(value.actions.length * 0.8);
    value.cut = true;
  }
  return told;
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

function refusal(error: unknown): Told {
  const { code, message } = failureOf(error);
  return { $case: "refusal", value: { code, message: message.slice(0, insightBounds.textMax) } };
}

function codeOf(text: string): Code {
  return codes.find((code) => code === text) ?? "INTERNAL";
}
