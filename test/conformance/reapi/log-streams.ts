// What is written while it is still being written: LogStream, and the output of a running action.

import { LogStreamServiceDefinition } from "../../../src/wire/gen/build/bazel/remote/logstream/v1/remote_logstream.ts";
import { grpcDefinition } from "../../../src/wire/grpc-definition.ts";
import { executeRequest, metadataOf, putAction } from "./actions.ts";
import { byteStream, execution } from "./calls.ts";
import type { Case } from "./case.ts";
import { prefixOf, readBytes } from "./content.ts";
import { check, refused, Skipped, same, unlessUnimplemented } from "./expectations.ts";
import type { Target } from "./target.ts";

const logs = grpcDefinition(LogStreamServiceDefinition);

function createLog(target: Target) {
  const parent = `${prefixOf(target.instance)}conformance`;
  const asked = target.calls.unary(logs.createLogStream, { parent });
  return unlessUnimplemented(asked, "CreateLogStream");
}

/** Reads until `text` has come, however the stream goes on. */
async function readUntil(target: Target, resourceName: string, text: string): Promise<string> {
  const request = { resourceName, readOffset: 0, readLimit: 0 };
  let seen = "";
  for await (const { data } of target.calls.stream(byteStream.read, request)) {
    seen += Buffer.from(data).toString();
    if (seen.includes(text)) return seen;
  }
  return seen;
}

/** Cases of logs that grow. */
export const logStreamCases: readonly Case[] = [
  {
    name: "a log is read under one name and written under another",
    client: "BuildStream/recc",
    rule: "LogStream: write_resource_name is the writer's secret",
    run: async (target) => {
      const { name, writeResourceName } = await createLog(target);
      check(name !== "" && writeResourceName !== "", "a name is empty");
      check(name !== writeResourceName, "both names are the same");
      const other = await createLog(target);
      check(other.name !== name, "two logs have one name");
      const write = { data: Buffer.from("x"), finishWrite: true };
      const codes = ["NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED"] as const;
      const call = target.calls.write({ resourceName: name, ...write });
      await refused(call, codes, "a write under the reader's name");
    },
  },
  {
    name: "a log is read while it grows, and to its end",
    client: "BuildStream/recc",
    rule: "LogStream: ByteStream.Read follows a log until finish_write",
    run: async (target) => {
      const { name, writeResourceName } = await createLog(target);
      const write = target.calls.openWrite();
      const resourceName = writeResourceName;
      await write.send({ resourceName, data: Buffer.from("first,") });
      same(await readUntil(target, name, "first,"), "first,", "the log so far");
      const whole = readBytes(target, name);
      const data = Buffer.from("last");
      await write.send({ resourceName, writeOffset: 6, data, finishWrite: true });
      write.end();
      await write.answer;
      same((await whole).toString(), "first,last", "the log");
    },
  },
  {
    name: "what an action writes can be read while it runs",
    client: "Bazel",
    rule: "REAPI: ExecuteOperationMetadata.stdout_stream_name",
    needs: ["execution"],
    run: async (target) => {
      const action = await putAction(target, { run: "echo early; sleep 2; echo late" });
      const request = executeRequest(target, action);
      let done = false;
      let early: Promise<boolean> | undefined;
      for await (const operation of target.calls.stream(execution.execute, request)) {
        ({ done } = operation);
        const { stdoutStreamName: name } = metadataOf(operation);
        if (name !== "" && early === undefined && !done) {
          early = readUntil(target, name, "early\n").then(
            (text) => text.includes("early") && !done,
          );
        }
      }
      if (early === undefined) throw new Skipped("no stdout_stream_name is told");
      check(await early, "what it wrote first came only after its end");
    },
  },
];
