// Who may call what. Roles bundle rights, one table says which right each method needs, and one
// interceptor holds every call to it before its first message is read.

import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  status as Status,
} from "@grpc/grpc-js";
import { type Code, failureOf, MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Activity } from "./activity.ts";
import { toServiceError } from "./handlers.ts";
import { hasRight, isRole, type Right, type Role } from "./roles.ts";

/** Somebody who calls. */
export interface Caller {
  /** For messages and the log: the token's or certificate's; empty for nobody in particular. */
  readonly name: string;
  readonly role: Role;
}

/** Knows callers by what they show. */
export interface Access {
  /** What somebody can do who lacks a right, as a sentence. */
  readonly remedy: string;
  /** UNAUTHENTICATED for a token that is not known. */
  identify(shown: {
    /** The `authorization` header. */
    readonly authorization: string | undefined;
    /** The verified TLS certificate's subject. */
    readonly subject: Readonly<Record<string, unknown>> | undefined;
  }): Caller;
}

/** The header by which handlers know a caller's role; what a client sends under it is dropped. */
const roleKey = "builder-caller-role";
/** Likewise the name; binary, because names of people are not all ASCII. */
const nameKey = "builder-caller-name-bin";

const reapi = "/build.bazel.remote.execution.v2";

/** The right that each method needs. What is not here needs `admin`. */
export const rightByMethod: Readonly<Record<string, Right | "none">> = {
  [`${reapi}.Capabilities/GetCapabilities`]: "read",
  [`${reapi}.ContentAddressableStorage/FindMissingBlobs`]: "read",
  [`${reapi}.ContentAddressableStorage/BatchReadBlobs`]: "read",
  [`${reapi}.ContentAddressableStorage/GetTree`]: "read",
  [`${reapi}.ContentAddressableStorage/SplitBlob`]: "read",
  [`${reapi}.ContentAddressableStorage/BatchUpdateBlobs`]: "write-cas",
  [`${reapi}.ContentAddressableStorage/SpliceBlob`]: "write-cas",
  [`${reapi}.ActionCache/GetActionResult`]: "read",
  [`${reapi}.ActionCache/UpdateActionResult`]: "write-ac",
  [`${reapi}.Execution/Execute`]: "execute",
  [`${reapi}.Execution/WaitExecution`]: "execute",
  "/google.bytestream.ByteStream/Read": "read",
  "/google.bytestream.ByteStream/QueryWriteStatus": "read",
  "/google.bytestream.ByteStream/Write": "write-cas",
  "/google.longrunning.Operations/GetOperation": "read",
  "/google.longrunning.Operations/WaitOperation": "read",
  "/google.longrunning.Operations/CancelOperation": "execute",
  "/google.longrunning.Operations/ListOperations": "admin",
  "/google.longrunning.Operations/DeleteOperation": "admin",
  "/build.bazel.remote.logstream.v1.LogStreamService/CreateLogStream": "write-cas",
  "/build.bazel.remote.asset.v1.Fetch/FetchBlob": "write-cas",
  "/build.bazel.remote.asset.v1.Fetch/FetchDirectory": "write-cas",
  "/build.bazel.remote.asset.v1.Push/PushBlob": "write-ac",
  "/build.bazel.remote.asset.v1.Push/PushDirectory": "write-ac",
  "/google.devtools.build.v1.PublishBuildEvent/PublishLifecycleEvent": "execute",
  "/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream": "execute",
  "/builder.node.v1.NodeStatus/GetStatus": "read",
  "/builder.node.v1.NodeStatus/ListInvocations": "read",
  "/builder.node.v1.NodeStatus/GetInvocation": "read",
  "/builder.node.v1.Insight/GetFigures": "read",
  "/builder.node.v1.Insight/ListActions": "read",
  "/builder.node.v1.Insight/ProfileBuild": "read",
  "/builder.node.v1.Insight/ExplainAction": "read",
  "/builder.node.v1.Insight/ReadLog": "admin",
  "/builder.node.v1.Insight/Cancel": "execute",
  "/builder.node.v1.MeshControl/Invite": "admin",
  "/builder.node.v1.MeshControl/Revoke": "admin",
  "/builder.node.v1.MeshControl/ListKnocks": "admin",
  "/builder.node.v1.MeshControl/Admit": "admin",
  "/builder.node.v1.MeshControl/Leave": "admin",
  "/builder.node.v1.MeshControl/GetMesh": "admin",
  "/builder.node.v1.MeshControl/Scale": "admin",
  "/builder.node.v1.MeshControl/Drain": "admin",
  "/builder.node.v1.MeshControl/Configure": "admin",
  "/builder.node.v1.MeshControl/GetConfiguration": "admin",
  "/builder.node.v1.MeshControl/ReadRecord": "admin",
  // For load balancers and tools; they say nothing about builds.
  "/grpc.health.v1.Health/Check": "none",
  "/grpc.health.v1.Health/Watch": "none",
  "/grpc.health.v1.Health/List": "none",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": "none",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "none",
};

/**
 * Throws unless `caller` may call `method` (`/package.Service/Method`): UNAUTHENTICATED for nobody
 * in particular, PERMISSION_DENIED for somebody who has too few rights. `remedy` says what to do.
 */
export function checkRight(method: string, caller: Caller, remedy: string): void {
  const right = rightByMethod[method] ?? "admin";
  if (right === "none" || hasRight(caller.role, right)) return;
  const code: Code = caller.name === "" ? "UNAUTHENTICATED" : "PERMISSION_DENIED";
  const who = caller.name === "" ? "A caller without a token" : `"${caller.name}" (${caller.role})`;
  const text = `${who} may not call ${method.slice(1)}: it needs the right "${right}". ${remedy}`;
  throw new MeshError(code, text);
}

/** The role of whoever sent this metadata, as the interceptor found it. */
export function roleOf(metadata: Metadata): Role {
  const [role] = metadata.get(roleKey);
  return isRole(role) ? role : "none";
}

/** The name of whoever sent this metadata; empty where it showed neither token nor certificate. */
export function callerNameOf(metadata: Metadata): string {
  const [name] = metadata.get(nameKey);
  return name?.toString() ?? "";
}

/**
 * Checks every call and counts it; who was refused what is in the log at `debug`. One interceptor
 * does both, because each costs a waiting call a kilobyte.
 */
export function callInterceptor(access: Access, activity: Activity, log: Log): ServerInterceptor {
  return (method, call) => {
    const end = activity.begin(method.path);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            try {
              const caller = callerOf(access, metadata, call);
              checkRight(method.path, caller, access.remedy);
              metadata.set(roleKey, caller.role);
              metadata.set(nameKey, Buffer.from(caller.name));
              pass(metadata);
            } catch (error) {
              log("debug", `${call.getPeer()} was refused: ${failureOf(error).message}`);
              end(refuse(call, error));
            }
          },
          onCancel: () => end(Status.CANCELLED),
        }),
      sendStatus: (status, next) => {
        end(status.code);
        next(status);
      },
    });
  };
}

type InterceptedCall = Parameters<ServerInterceptor>[1];

function callerOf(access: Access, metadata: Metadata, call: InterceptedCall): Caller {
  const [authorization] = metadata.get("authorization");
  const { sslPeerCertificate } = call.getAuthContext();
  return access.identify({
    authorization: authorization?.toString(),
    subject: sslPeerCertificate?.subject && { ...sslPeerCertificate.subject },
  });
}

/** Ends the call; the code it got. */
function refuse(call: InterceptedCall, error: unknown): Status {
  const { code = Status.INTERNAL, details = "", metadata = new Metadata() } = toServiceError(error);
  call.sendStatus({ code, details, metadata });
  return code;
}
