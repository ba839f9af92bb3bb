// How the machines are and what becomes of actions, over gRPC
// (proto/builder/node/v1/insight.proto says what each method tells and to whom).

import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type ActionList,
  type BuildProfile,
  type Cancelled,
  type CancelRequest,
  type ExplainActionRequest,
  type Explanation,
  InsightDefinition,
  type ListActionsRequest,
  type LogLines,
  type MeshFigures,
  type ProfileBuildRequest,
  type ReadLogRequest,
} from "../wire/gen/builder/node/v1/insight.ts";
import { type Access, callerNameOf, roleOf } from "./access.ts";
import { type Call, unary } from "./handlers.ts";
import { hasRight } from "./roles.ts";
import { type Service, service } from "./services.ts";

/** What a node tells. Errors as the service's definition says. */
export interface Insight {
  figures(): Promise<MeshFigures>;
  actions(request: ListActionsRequest): Promise<ActionList>;
  explain(request: ExplainActionRequest): Promise<Explanation>;
  build(request: ProfileBuildRequest): Promise<BuildProfile>;
  log(request: ReadLogRequest): Promise<LogLines>;
  cancel(request: CancelRequest): Promise<Cancelled>;
}

/** The service; `remedy` is for callers whom nobody knows. */
export function insightService(
  insight: Insight,
  log: Log,
  { remedy }: Pick<Access, "remedy">,
): Service {
  return service(InsightDefinition, {
    getFigures: unary(log, () => insight.figures()),
    listActions: unary(log, (request: ListActionsRequest) => insight.actions(request)),
    explainAction: unary(log, (request: ExplainActionRequest) => insight.explain(request)),
    profileBuild: unary(log, (request: ProfileBuildRequest) => insight.build(request)),
    readLog: unary(log, (request: ReadLogRequest) => insight.log(request)),
    cancel: unary(log, async ({ what }: CancelRequest, call) =>
      insight.cancel({ what, user: ownOnly(call, remedy) }),
    ),
  });
}

/**
 * The user whose invocations a caller may end: "" for an admin, who may end anybody's. Callers
 * without a name are told apart by nothing, what runs in an action of this host included.
 */
function ownOnly({ metadata }: Call, remedy: string): string {
  if (hasRight(roleOf(metadata), "admin")) return "";
  const name = callerNameOf(metadata);
  if (name !== "") return name;
  const text = `A caller without a token may not give up what may be another's. ${remedy}`;
  throw new MeshError("UNAUTHENTICATED", text);
}
