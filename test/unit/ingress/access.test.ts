import { expect, test } from "vitest";
import { checkRight, rightByMethod } from "../../../src/ingress/access.ts";
import { type Role, rightsByRole } from "../../../src/ingress/roles.ts";
import * as reapi from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { LogStreamServiceDefinition } from "../../../src/wire/gen/build/bazel/remote/logstream/v1/remote_logstream.ts";
import { InsightDefinition } from "../../../src/wire/gen/builder/node/v1/insight.ts";
import {
  MeshControlDefinition,
  NodeStatusDefinition,
} from "../../../src/wire/gen/builder/node/v1/node.ts";
import { ByteStreamDefinition } from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { PublishBuildEventDefinition } from "../../../src/wire/gen/google/devtools/build/v1/publish_build_event.ts";
import { OperationsDefinition } from "../../../src/wire/gen/google/longrunning/operations.ts";
import type { grpcDefinition } from "../../../src/wire/grpc-definition.ts";

const served: string[] = [
  reapi.CapabilitiesDefinition,
  reapi.ContentAddressableStorageDefinition,
  reapi.ActionCacheDefinition,
  reapi.ExecutionDefinition,
  ByteStreamDefinition,
  OperationsDefinition,
  LogStreamServiceDefinition,
  PublishBuildEventDefinition,
  InsightDefinition,
  MeshControlDefinition,
  NodeStatusDefinition,
].flatMap((definition: Parameters<typeof grpcDefinition>[0]) =>
  Object.values(definition.methods).map(({ name }) => `/${definition.fullName}/${name}`),
);

test("every method that is served has its right in the table", () => {
  expect(served.length).toBeGreaterThan(20);
  expect(served.filter((path) => rightByMethod[path] === undefined)).toEqual([]);
});

test("the table names no method of these services that does not exist", () => {
  const known = Object.keys(rightByMethod).filter(
    (path) => !/^\/(grpc\.|build\.bazel\.remote\.asset\.)/.test(path),
  );
  expect(known.filter((path) => !served.includes(path))).toEqual([]);
});

function callable(role: Role, name = "somebody"): string[] {
  return served.filter((path) => {
    try {
      checkRight(path, { name, role }, "Show a token.");
      return true;
    } catch {
      return false;
    }
  });
}

test("only trusted roles write results, only an admin touches others' operations and the mesh", () => {
  const mayNot = (role: Role) => served.filter((path) => !callable(role).includes(path));
  const names = (paths: string[]) => paths.map((path) => path.split("/")[2]).sort();
  expect(names(mayNot("admin"))).toEqual([]);
  const forAdmins = [
    ...[
      "Admit",
      "Configure",
      "DeleteOperation",
      "Drain",
      "GetConfiguration",
      "GetMesh",
      "Invite",
      "Leave",
    ],
    ...["ListKnocks", "ListOperations", "ReadLog", "ReadRecord", "Revoke", "Scale"],
  ];
  expect(names(mayNot("writer"))).toEqual(forAdmins);
  expect(names(mayNot("client"))).toEqual([...forAdmins, "UpdateActionResult"]);
  expect(names(callable("reader"))).toEqual([
    "BatchReadBlobs",
    "ExplainAction",
    "FindMissingBlobs",
    "GetActionResult",
    "GetCapabilities",
    "GetFigures",
    "GetInvocation",
    "GetOperation",
    "GetStatus",
    "GetTree",
    "ListActions",
    "ListInvocations",
    "ProfileBuild",
    "QueryWriteStatus",
    "Read",
    "SplitBlob",
    "WaitOperation",
  ]);
  expect(callable("none")).toEqual([]);
});

test("each role may do all that the one before it may", () => {
  const roles: Role[] = ["none", "reader", "client", "writer", "admin"];
  expect(Object.keys(rightsByRole)).toEqual(roles);
  for (const [at, role] of roles.entries()) {
    const below = roles[at - 1] ?? "none";
    expect(callable(role)).toEqual(expect.arrayContaining(callable(below)));
  }
});

test("a method that nobody thought of needs an admin", () => {
  for (const path of ["/new.Service/Method", "/constructor", "/__proto__", ""]) {
    expect(() => checkRight(path, { name: "ci", role: "writer" }, "")).toThrow(/right "admin"/);
    checkRight(path, { name: "boss", role: "admin" }, "");
  }
});

test("a refusal names the right, the caller and the role, or what to show", () => {
  const path = "/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult";
  const check = (name: string, role: Role) => () =>
    checkRight(path, { name, role }, "Show a token.");
  expect(check("ann", "client")).toThrow(/"ann" \(client\) .* "write-ac"/);
  expect(check("ann", "client")).toThrow(expect.objectContaining({ code: "PERMISSION_DENIED" }));
  expect(check("", "none")).toThrow(/without a token .*"write-ac"\. Show a token\.$/);
  expect(check("", "none")).toThrow(expect.objectContaining({ code: "UNAUTHENTICATED" }));
});
