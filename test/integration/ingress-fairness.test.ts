// Whose an action is, as the scheduler is told: by token, or by address where there is none.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { afterAll, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import type { ActionRequest } from "../../src/core/action.ts";
import { startIngress } from "../../src/ingress/server.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { eventually } from "../support/eventually.ts";
import { all, callsOf } from "../support/grpc-calls.ts";

const execution = grpcDefinition(reapi.ExecutionDefinition);
const token = "token-of-zoe-0123456789";
const folder = mkdtempSync(join(tmpdir(), "fairness-"));
const open: { close(): void }[] = [];
afterAll(() => {
  for (const each of open) each.close();
  rmSync(folder, { recursive: true });
});

/** Executes one action with these headers; returns what the scheduler hears. */
async function submittedWith(headers: Readonly<Record<string, string | Buffer>>) {
  const tokenFile = join(folder, "tokens");
  writeFileSync(tokenFile, `${token} client Zoë of the desk\n`, { mode: 0o600 });
  const store = new MemoryBlobStore();
  const base = new MemoryActionCache({ now: Date.now });
  const submitted: ActionRequest[] = [];
  const ingress = await startIngress(
    {
      store,
      actionCache: new CompletenessCheckingActionCache({ base, store }),
      scheduler: {
        submit: (_, request) => submitted.push(request),
        abandon: () => undefined,
      },
      status: () => Status.fromPartial({}),
      log: () => undefined,
      now: Date.now,
    },
    {
      addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }],
      node: "n",
      callers: { tokenFile, anonymous: "client" },
    },
  );
  const client = new Client(`127.0.0.1:${ingress.ports[0]}`, credentials.createInsecure());
  open.push(client, ingress);
  const put = async (bytes: Uint8Array) => {
    const { hash, sizeBytes } = await store.put(bytes, "sha256");
    return { hash, sizeBytes };
  };
  const command = reapi.Command.fromPartial({ arguments: ["true"] });
  const action = reapi.Action.fromPartial({
    commandDigest: await put(reapi.Command.encode(command).finish()),
    inputRootDigest: await put(new Uint8Array()),
  });
  const actionDigest = await put(reapi.Action.encode(action).finish());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const request = reapi.ExecuteRequest.fromPartial({ actionDigest });
  all(callsOf(client).stream(execution.execute, request, metadata)).catch(() => undefined);
  const [heard] = await eventually("submitted", () => submitted.length > 0 && submitted);
  return heard;
}

function requestMetadata(toolInvocationId: string): Readonly<Record<string, Buffer>> {
  const message = reapi.RequestMetadata.fromPartial({ toolInvocationId });
  const bytes = Buffer.from(reapi.RequestMetadata.encode(message).finish());
  return { "build.bazel.remote.execution.v2.requestmetadata-bin": bytes };
}

test("with a token it is the token's owner, and the invocation the client's own", async () => {
  const headers = { authorization: `Bearer ${token}`, ...requestMetadata("build 7") };
  expect(await submittedWith(headers)).toMatchObject({
    user: "Zoë of the desk",
    invocation: "build 7",
  });
});

test("without one it is the machine, whatever its connection", async () => {
  const heard = await submittedWith({});
  expect(heard?.user).toBe("127.0.0.1");
  expect(heard?.invocation).toMatch(/^127\.0\.0\.1:\d+$/);
});

test("nobody says under which name the node knows him", async () => {
  const forged = { "builder-caller-name-bin": Buffer.from("Zoë of the desk") };
  expect((await submittedWith(forged))?.user).toBe("127.0.0.1");
});
