// What a node answers when another node asks about it (proto/builder/node/v1/insight.proto), cut so
// that it fits into one answer.

import { failureOf, MeshError } from "../core/error.ts";
import { questionBounds } from "../mesh/host-questions.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  type ActionList,
  Answer,
  type BuildPart,
  type LogLines,
  Question,
} from "../wire/gen/builder/node/v1/insight.ts";
import { insightBounds, type OwnInsight } from "./own-insight.ts";

/** An answer of any kind. */
export type Told = NonNullable<Answer["answer"]>;

/** Answers another node, by what it may do in the mesh; workers are told nothing. Never throws. */
export async function answerHost(
  own: OwnInsight,
  roles: readonly string[],
  question: Uint8Array,
): Promise<Uint8Array> {
  const told = await answer(own, roles, question).catch((error: unknown) => refusal(error));
  return encodeBytes(Answer, { answer: told });
}

async function answer(own: OwnInsight, roles: readonly string[], bytes: Uint8Array): Promise<Told> {
  const serves = roles.includes("host") || roles.includes("admin");
  if (!serves) throw new MeshError("PERMISSION_DENIED", "Only nodes that serve may ask.");
  const { question } = Question.decode(bytes);
  switch (question?.$case) {
    case "figures":
      return { $case: "figures", value: own.figures() };
    case "actions":
      return fittingActions(await own.actions(question.value));
    case "explain":
      return { $case: "explanation", value: await own.explain(question.value) };
    case "build":
      return fittingBuild(own.build(question.value.invocation));
    case "log":
      if (!roles.includes("admin")) {
        const text = "Log lines are told to admins of the mesh only. Ask at that node itself.";
        throw new MeshError("PERMISSION_DENIED", text);
      }
      return fittingLog(await own.log(question.value), question.value.after > 0);
    case "cancel":
      return { $case: "cancelled", value: await own.cancel(question.value) };
    default:
      throw new MeshError("UNIMPLEMENTED", "This node knows no such question: it is older.");
  }
}

function fittingActions(value: ActionList): Told {
  return fitting({ $case: "actions", value }, value.actions, (few) => {
    value.actions = few;
  });
}

/** The last accepted of a build. */
function fittingBuild(value: BuildPart): Told {
  return fitting({ $case: "build", value }, value.actions, (few) => {
    Object.assign(value, { actions: few, cut: true });
  });
}

/** The last lines; the first where they are to be gone on with, so that none is passed over. */
function fittingLog(value: LogLines, goesOn: boolean): Told {
  const newestFirst = [...value.lines].reverse();
  return fitting({ $case: "log", value }, goesOn ? value.lines : newestFirst, (few) => {
    value.lines = goesOn ? few : few.reverse();
  });
}

/** The same with as many of `all`, from its begin, as fit into an answer. */
function fitting<T>(told: Told, all: readonly T[], keep: (few: T[]) => void): Told {
  const room = questionBounds.answerBytesMax - 1024;
  let count = all.length;
  while (count > 0 && encodeBytes(Answer, { answer: told }).length > room) {
    count = Math.floor(count * 0.7);
    keep(all.slice(0, count));
  }
  return told;
}

function refusal(error: unknown): Told {
  const { code, message } = failureOf(error);
  return { $case: "refusal", value: { code, message: message.slice(0, insightBounds.textMax) } };
}
