// Operations: waiting again for what runs, ended or was never heard of; looking and cancelling.

import type { Operation } from "../../../src/wire/gen/google/longrunning/operations.ts";
import { type Ending, endingOf, executeRequest, putAction, stdoutOf } from "./actions.ts";
import { type Calls, execution, operations } from "./calls.ts";
import type { Case } from "./case.ts";
import { prefixOf } from "./content.ts";
import {
  check,
  Mismatch,
  nameOfCode,
  present,
  refused,
  same,
  unlessReserved,
  unlessUnimplemented,
} from "./expectations.ts";
import type { Target } from "./target.ts";

const needs = ["execution"] as const;

/** Begins to execute and gives the first message; the stream goes on. */
async function begin(target: Target, run: string, calls: Calls = target.calls) {
  const action = await putAction(target, { run });
  const stream = calls.stream(execution.execute, executeRequest(target, action));
  const end = Promise.withResolvers<Operation[]>();
  const seen: Operation[] = [];
  const first = await new Promise<Operation>((resolve, reject) => {
    stream.on("data", (operation: Operation) => {
      seen.push(operation);
      resolve(operation);
    });
    stream.on("error", (error) => {
      reject(error);
      end.reject(error);
    });
    stream.on("end", () => {
      reject(new Mismatch("the stream ended without a message"));
      end.resolve(seen);
    });
  });
  end.promise.catch(() => undefined);
  check(first.name !== "", "the operation has no name");
  return { action, name: first.name, stream, end: end.promise };
}

function wait(target: Target, name: string, calls: Calls = target.calls): Promise<Ending> {
  return endingOf(calls.collect(execution.waitExecution, { name }));
}

async function checkSaid(target: Target, end: Ending, expected: string): Promise<void> {
  same(nameOfCode(end.code), "OK", `the status (${end.message})`);
  const result = present(end.response?.result, "ExecuteResponse.result");
  same(await stdoutOf(target, result), expected, "stdout");
}

/** WaitExecution. */
const waitCases: readonly Case[] = [
  {
    name: "whoever waits for an operation that runs gets its end",
    client: "siso",
    rule: "REAPI: WaitExecution; siso waits again every minute",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "sleep 0.5; echo late");
      await checkSaid(target, await wait(target, name), "late\n");
      await checkSaid(target, await endingOf(end), "late\n");
    },
  },
  {
    name: "a client whose stream broke comes back and gets the result",
    client: "Bazel",
    rule: "REAPI: a vanished client does not end the action",
    needs,
    run: async (target) => {
      const calls = target.connect();
      const { name } = await begin(target, "sleep 0.7; echo survived", calls);
      calls.close();
      await checkSaid(target, await wait(target, name), "survived\n");
    },
  },
  {
    name: "an operation that has ended is still answered",
    client: "BuildStream/recc",
    rule: "REAPI: WaitExecution of a finished operation",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "echo done");
      await end;
      const ending = await wait(target, name);
      same(ending.operations.at(-1)?.name, name, "the name");
      await checkSaid(target, ending, "done\n");
    },
  },
  {
    name: "a failed action that has ended is still answered",
    client: "Pants",
    rule: "Pants: NOT_FOUND from WaitExecution is fatal",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "exit 7");
      await end;
      const ending = await wait(target, name);
      same(ending.response?.result?.exitCode, 7, "exit_code");
    },
  },
  {
    name: "a name that nobody ever gave is NOT_FOUND at once",
    client: "Bazel",
    rule: "Bazel, siso and the SDK execute again on NOT_FOUND",
    needs,
    run: async (target) => {
      const prefix = prefixOf(target.instance);
      const names = ["", "no such name", `${prefix}operations/x`, "x".repeat(5000)];
      for (const name of names) {
        const codes = ["NOT_FOUND", "INVALID_ARGUMENT"] as const;
        const shown = JSON.stringify(name.slice(0, 30));
        await refused(target.calls.collect(execution.waitExecution, { name }), codes, shown);
      }
      const name = `${prefix}operations/${crypto.randomUUID()}`;
      const call = target.calls.collect(execution.waitExecution, { name });
      await refused(call, "NOT_FOUND", "an unknown operation");
    },
  },
  {
    name: "an operation of an unknown server is adopted or NOT_FOUND, never an empty stream",
    client: "Pants",
    rule: "a name that tells its action can be answered by any server",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "echo adopted");
      await end;
      const foreign = name.replace(/[^/]+$/, (own) => own.replaceAll(/[0-9a-f]/g, "7"));
      const ending = await wait(target, foreign);
      if (ending.code === 5) return;
      await checkSaid(target, ending, "adopted\n");
    },
  },
];

/** google.longrunning.Operations. */
const serviceCases: readonly Case[] = [
  {
    name: "an operation can be looked at, while it runs and after",
    client: "BuildStream/recc",
    rule: "google.longrunning: GetOperation",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "sleep 0.5");
      const get = () => {
        const asked = target.calls.unary(operations.getOperation, { name });
        return unlessUnimplemented(asked, "GetOperation");
      };
      const running = await get();
      same([running.name, running.done], [name, false], "name and done while it runs");
      await end;
      const ended = await get();
      same([ended.done, ended.result?.$case], [true, "response"], "done and result after it");
    },
  },
  {
    name: "operations that run are listed",
    client: "every client",
    rule: "google.longrunning: ListOperations",
    needs,
    run: async (target) => {
      const { name, stream } = await begin(target, "sleep 3");
      const names: string[] = [];
      let pageToken = "";
      do {
        const request = {
          name: `${prefixOf(target.instance)}operations`,
          filter: "",
          pageSize: 50,
          pageToken,
          returnPartialSuccess: false,
        };
        const asked = target.calls.unary(operations.listOperations, request);
        const page = await unlessReserved(asked, "ListOperations");
        names.push(...page.operations.map((operation) => operation.name));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      stream.cancel();
      check(names.includes(name), `of ${names.length} listed operations none is the one that runs`);
    },
  },
  {
    name: "a cancelled operation ends as CANCELLED, and at once",
    client: "Pants",
    rule: "google.longrunning: CancelOperation; Pants, BuildStream and recc call it",
    needs,
    deadlineMs: 8_000,
    run: async (target) => {
      const { name, end } = await begin(target, "sleep 12");
      const asked = target.calls.unary(operations.cancelOperation, { name });
      await unlessUnimplemented(asked, "CancelOperation");
      const ending = await endingOf(end);
      same(nameOfCode(ending.code), "CANCELLED", "the status");
    },
  },
  {
    name: "cancelling for one client leaves the others what they wait for",
    client: "every client",
    rule: "REAPI: merged actions are waited for by several operations",
    needs,
    run: async (target) => {
      const first = await begin(target, "sleep 1; echo kept");
      const request = executeRequest(target, first.action);
      const second = endingOf(target.connect().collect(execution.execute, request));
      await new Promise((wake) => setTimeout(wake, 200));
      const asked = target.calls.unary(operations.cancelOperation, { name: first.name });
      await unlessUnimplemented(asked, "CancelOperation");
      const ending = await second;
      // A server that gave both one operation may end both.
      if (ending.operations.at(-1)?.name === first.name) return;
      await checkSaid(target, ending, "kept\n");
    },
  },
  {
    name: "waiting with a timeout brings the operation as it is then",
    client: "every client",
    rule: "google.longrunning: WaitOperation",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "sleep 1.5");
      const waiting = async (seconds: number) => {
        const request = { name, timeout: { seconds, nanos: 100_000_000 } };
        const asked = target.calls.unary(operations.waitOperation, request);
        return unlessUnimplemented(asked, "WaitOperation");
      };
      same((await waiting(0)).done, false, "done after 0.1 s");
      same((await waiting(15)).done, true, "done at the end");
      await end;
    },
  },
  {
    name: "an operation that was deleted is not known any more",
    client: "every client",
    rule: "google.longrunning: DeleteOperation",
    needs,
    run: async (target) => {
      const { name, end } = await begin(target, "true");
      await end;
      const asked = target.calls.unary(operations.deleteOperation, { name });
      await unlessReserved(asked, "DeleteOperation");
      const get = target.calls.unary(operations.getOperation, { name });
      await refused(get, "NOT_FOUND", "the deleted operation");
    },
  },
  {
    name: "operations that nobody knows cannot be looked at, cancelled or deleted",
    client: "hostile client",
    rule: "google.longrunning: NOT_FOUND",
    needs,
    run: async (target) => {
      const name = `${prefixOf(target.instance)}operations/${crypto.randomUUID()}`;
      const codes = ["NOT_FOUND", "INVALID_ARGUMENT"] as const;
      for (const method of ["getOperation", "cancelOperation", "deleteOperation"] as const) {
        const asked = target.calls.unary<{ name: string }, unknown>(operations[method], { name });
        await refused(unlessReserved(asked, method), codes, `${method} of an unknown name`);
      }
    },
  },
];

/** Cases of operations. */
export const operationCases: readonly Case[] = [...waitCases, ...serviceCases];
