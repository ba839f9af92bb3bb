// How the machines are and what becomes of actions, over gRPC
// (proto/builder/node/v1/insight.proto says what each method tells and to whom).

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
import { callerNameOf, roleOf } from "./access.ts";
import { hostOf } from "./action-request.ts";
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

/** The service. */
export function insightService(insight: Insight, log: Log): Service {
  return service(InsightDefinition, {
    getFigures: unary(log, () => insight.figures()),
    listActions: unary(log, (request: ListActionsRequest) => insight.actions(request)),
    explainAction: unary(log, (request: ExplainActionRequest) => insight.explain(request)),
    profileBuild: unary(log, (request: ProfileBuildRequest) => insight.build(request)),
    readLog: unary(log, (request: ReadLogRequest) => insight.log(request)),
    cancel: unary(log, ({ what }: CancelRequest, call) =>
      insight.cancel({ what, user: ownOnly(call) }),
    ),
  });
}

/** The user whose invocations a caller may end: "" for an admin, who may end anybody's. */
function ownOnly({ metadata, peer }: Call): string {
  if (hasRight(roleOf(metadata), "admin")) return "";
  return callerNameOf(metadata) || hostOf(peer);
}
