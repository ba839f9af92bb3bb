// Two nodes of one mesh, as far as results go: they share what is stored, and have other tools.

import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import type { ActionRequest } from "../../src/core/action.ts";
import { type Ingress, startIngress } from "../../src/ingress/server.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import type { Operation } from "../../src/wire/gen/google/longrunning/operations.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { fromWireDigest } from "../../src/wire/reapi.ts";
import { all, callsOf, wire } from "../support/grpc-calls.ts";

const cache = grpcDefinition(reapi.ActionCacheDefinition);
const execution = grpcDefinition(reapi.ExecutionDefinition);
const store = new MemoryBlobStore();
const results = new MemoryActionCache({ now: Date.now });
const nodes: { ingress: Ingress; client: Client; calls: ReturnType<typeof callsOf> }[] = [];
const lookUps: boolean[] = [];
let salt = 0;

beforeAll(async () => {
  for (const toolchain of ["system-one", "system-two"]) nodes.push(await startNode(toolchain));
});
beforeEach(() => lookUps.splice(0));
afterAll(() => {
  for (const { client, ingress } of nodes) {
    client.close();
    ingress.close();
  }
});

/** Every action that it is given ends at once, and says where and under which demands. */
async function startNode(toolchain: string) {
  const ingress: Ingress = await startIngress(
    {
      store,
      actionCache: new CompletenessCheckingActionCache({ base: results, store }),
      scheduler: {
        submit: (operation, request) => void run(operation, request),
        abandon: () => undefined,
      },
      status: () => Status.fromPartial({}),
      toolchain: () => toolchain,
      onLookUp: ({ hit }) => lookUps.push(hit),
      log: () => undefined,
      now: Date.now,
    },
    { addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }], node: toolchain },
  );

  async function run(operation: string, request: ActionRequest): Promise<void> {
    const worker = `${toolchain} ${JSON.stringify(request.properties)}`;
    const result = reapi.ActionResult.fromPartial({ executionMetadata: { worker } });
    // As workers do.
    const key = { instance: request.instance, action: request.action };
    await results.put(key, reapi.ActionResult.encode(result).finish());
    const message = reapi.ExecuteResponse.fromPartial({ result });
    const response = await store.put(reapi.ExecuteResponse.encode(message).finish(), "sha256");
    const outcome = { kind: "result" as const, response, exitCode: 0, runMs: 1 };
    ingress.onStage([operation], { kind: "completed", outcome, worker });
  }

  const client = new Client(`127.0.0.1:${ingress.ports[0]}`, credentials.createInsecure());
  return { ingress, client, calls: callsOf(client) };
}

/** An action with this in its platform; a new one each time. */
async function actionWith(properties: Readonly<Record<string, string>>): Promise<reapi.Digest> {
  const put = (message: Uint8Array) => store.put(message, "sha256");
  const command = reapi.Command.fromPartial({ arguments: ["cc"] });
  salt += 1;
  const action = reapi.Action.fromPartial({
    commandDigest: wire(await put(reapi.Command.encode(command).finish())),
    inputRootDigest: wire(await put(new Uint8Array())),
    salt: Buffer.from(`${salt}`),
    platform: { properties: Object.entries(properties).map(([name, value]) => ({ name, value })) },
  });
  return wire(await put(reapi.Action.encode(action).finish()));
}

async function execute(at: number, actionDigest: reapi.Digest): Promise<string> {
  const request = reapi.ExecuteRequest.fromPartial({ actionDigest });
  const told = await all<Operation>(nodes[at]!.calls.stream(execution.execute, request));
  const end = told.at(-1)?.result;
  if (end?.$case !== "response") throw new Error("no response");
  const { result, cachedResult } = reapi.ExecuteResponse.decode(end.value.value);
  return `${cachedResult ? "cached: " : ""}${result?.executionMetadata?.worker}`;
}

async function cachedAt(at: number, actionDigest: reapi.Digest): Promise<string> {
  const request = reapi.GetActionResultRequest.fromPartial({ actionDigest });
  const found = await nodes[at]!.calls.call(cache.getActionResult, request).catch(() => undefined);
  return found?.executionMetadata?.worker ?? "";
}

test("equal actions that name no toolchain are run with the node's own, and never shared", async () => {
  const action = await actionWith({});
  const [one, two] = [
    'system-one {"toolchain":"system-one"}',
    'system-two {"toolchain":"system-two"}',
  ];
  expect(await cachedAt(1, action)).toBe("");
  expect(await execute(0, action)).toBe(one);
  expect(await cachedAt(0, action)).toBe(one);
  expect(await cachedAt(1, action)).toBe("");
  expect(await execute(1, action)).toBe(two);
  expect(await execute(0, action)).toBe(`cached: ${one}`);
  expect(await execute(1, action)).toBe(`cached: ${two}`);
  // Each question counts once, wherever the answer was looked for.
  expect(lookUps).toEqual([false, false, true, false, false, true, true]);
});

test("an action that names its toolchain is the same everywhere", async () => {
  const action = await actionWith({ toolchain: "cpp-gcc-12-aa", OSFamily: "Linux" });
  const ran = 'system-one {"OSFamily":"linux","toolchain":"cpp-gcc-12-aa"}';
  expect(await execute(0, action)).toBe(ran);
  expect(await cachedAt(1, action)).toBe(ran);
  expect(await execute(1, action)).toBe(`cached: ${ran}`);
});

test("one that does with any runs anywhere and is kept for all", async () => {
  const action = await actionWith({ toolchain: "any" });
  expect(await execute(1, action)).toBe("system-two {}");
  expect(await cachedAt(0, action)).toBe("system-two {}");
});

test("a wait that another node takes over finds what was made with a named toolchain", async () => {
  const [named, unnamed] = [await actionWith({ toolchain: "any" }), await actionWith({})];
  const adopted = async (digest: reapi.Digest) => {
    const request = reapi.ExecuteRequest.fromPartial({ actionDigest: digest });
    const [first] = await all<Operation>(nodes[0]!.calls.stream(execution.execute, request));
    const name = first?.name ?? "";
    const told = await all<Operation>(nodes[1]!.calls.stream(execution.waitExecution, { name }));
    const end = told.at(-1)?.result;
    if (end?.$case !== "response") throw new Error("no response");
    return reapi.ExecuteResponse.decode(end.value.value).result?.executionMetadata?.worker;
  };
  expect(await adopted(named)).toBe("system-one {}");
  expect(await adopted(unnamed)).toBe('system-two {"toolchain":"system-two"}');
});

test("what a client brings is believed by the node it brings it to", async () => {
  const action = await actionWith({});
  const actionResult = reapi.ActionResult.fromPartial({ executionMetadata: { worker: "laptop" } });
  const request = { instanceName: "", actionDigest: action, actionResult };
  const full = reapi.UpdateActionResultRequest.fromPartial(request);
  await nodes[0]!.calls.call(cache.updateActionResult, full);
  expect(await cachedAt(0, action)).toBe("laptop");
  expect(await cachedAt(1, action)).toBe("");
  const key = { instance: "", action: fromWireDigest(action, "sha256", "action") };
  expect(await results.get(key)).toBeUndefined();
});
