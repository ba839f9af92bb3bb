// The inputs of an action, on disk.

import { Directory as DirectoryMessage } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ran, stdoutOf } from "./actions.ts";
import type { Case } from "./case.ts";
import { fetchBlob, put, unique } from "./content.ts";
import { same, sameBytes } from "./expectations.ts";

const needs = ["execution"] as const;

/** Cases of inputs. */
export const inputCases: readonly Case[] = [
  {
    name: "inputs are there with content, executable bit, links and empty folders",
    client: "every client",
    rule: "REAPI: Directory",
    needs,
    run: async (target) => {
      const tool = { bytes: Buffer.from("#!/bin/sh\necho ran\n"), executable: true };
      const inputs = {
        files: { "ünï cöde": "text\n", tool },
        folders: { empty: {}, sub: { links: { up: "../ünï cöde" } } },
      };
      const run =
        './tool; cat sub/up; test -d empty && echo empty; test -x "ünï cöde" || echo plain';
      const { result } = await ran(target, { run, inputs });
      same(await stdoutOf(target, result), "ran\ntext\nempty\nplain\n", "stdout");
    },
  },
  {
    name: "one content may be a plain and an executable file at once",
    client: "every client",
    rule: "REAPI: the executable bit belongs to the node, not to the blob",
    needs,
    run: async (target) => {
      const bytes = Buffer.from("#!/bin/sh\necho ran\n");
      const files = { a: { bytes, executable: true }, b: { bytes, executable: false } };
      const run = "./a; test -x b && echo wrong || echo right";
      const { result } = await ran(target, { run, inputs: { files } });
      same(await stdoutOf(target, result), "ran\nright\n", "stdout");
    },
  },
  {
    name: "an action that writes to its inputs changes no blob",
    client: "every client",
    rule: "REAPI: the CAS is content-addressed, whatever an action does",
    needs,
    run: async (target) => {
      const content = unique(100);
      const digest = await put(target, content);
      const files = { f: { bytes: content, executable: false } };
      const run = "chmod u+w f 2>/dev/null; echo changed >> f 2>/dev/null; rm -f f; true";
      await ran(target, { run, inputs: { files } });
      sameBytes(await fetchBlob(target, digest), content, "the input");
      const { result } = await ran(target, { run: "cat f | wc -c", inputs: { files } });
      same((await stdoutOf(target, result)).trim(), "100", "its length in the next action");
    },
  },
  {
    name: "an action does not see what another left",
    client: "every client",
    rule: "REAPI: an action depends on its inputs alone",
    needs,
    run: async (target) => {
      await ran(target, { run: "echo left > ./left-behind" });
      const { result } = await ran(target, { run: "ls" });
      same(await stdoutOf(target, result), "", "the files that are there");
    },
  },
  {
    name: "a thousand inputs are all there",
    client: "Bazel",
    rule: "REAPI: Directory",
    needs,
    run: async (target) => {
      const names = Array.from({ length: 1000 }, (_, at) => `f${`${at}`.padStart(4, "0")}`);
      const digest = await put(target, "same\n");
      const files = names.map((name) => ({ name, digest }));
      const bytes = DirectoryMessage.encode(DirectoryMessage.fromPartial({ files })).finish();
      const inputRoot = await put(target, bytes);
      const { result } = await ran(target, { run: "cat f* | wc -l", inputRoot });
      same((await stdoutOf(target, result)).trim(), "1000", "the number of lines");
    },
  },
];
