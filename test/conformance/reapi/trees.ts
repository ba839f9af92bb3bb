// GetTree: whole input trees, in pages.

import {
  type Digest,
  Directory,
  GetTreeRequest,
  type GetTreeResponse,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { cas } from "./calls.ts";
import type { Case } from "./case.ts";
import { absent, blobOf, type Folder, put, putDirectory, putTree, unique } from "./content.ts";
import { check, refused, same, unlessUnimplemented } from "./expectations.ts";
import type { Target } from "./target.ts";

function pagesOf(
  target: Target,
  rootDigest: Digest,
  page: { readonly pageSize?: number; readonly pageToken?: string } = {},
): Promise<GetTreeResponse[]> {
  const request = GetTreeRequest.fromPartial({
    instanceName: target.instance,
    rootDigest,
    digestFunction: 1,
    ...page,
  });
  return unlessUnimplemented(target.calls.collect(cas.getTree, request), "GetTree");
}

const foldersOf = (pages: readonly GetTreeResponse[]) =>
  pages.flatMap(({ directories }) => directories);

const keyOf = (directory: Directory) =>
  Buffer.from(Directory.encode(directory).finish()).toString("base64");

/** Folders that all differ. */
function manyFolders(count: number, nameChars = 10): Record<string, Folder> {
  const salt = unique(8).toString("hex");
  const folders = Array.from({ length: count }, (_, at) => {
    const name = `${at}`.padStart(nameChars, "d");
    return [name, { links: { to: `${salt}-${at}-${"x".repeat(nameChars)}` } }] as const;
  });
  return Object.fromEntries(folders);
}

/** Cases of GetTree. */
export const treeCases: readonly Case[] = [
  {
    name: "a tree comes with all of its folders",
    client: "every client",
    rule: "REAPI: GetTree",
    run: async (target) => {
      const file = unique(10).toString("hex");
      const root = await putTree(target, {
        files: { a: file },
        folders: { b: { files: { c: file }, folders: { d: { links: { e: "../c" } } } }, f: {} },
      });
      const folders = foldersOf(await pagesOf(target, root));
      same(new Set(folders.map(keyOf)).size, 4, "the number of different folders");
      const [names] = folders.filter(({ files }) => files[0]?.name === "a");
      same(
        names?.directories.map(({ name }) => name),
        ["b", "f"],
        "the folders of the root",
      );
    },
  },
  {
    name: "an empty tree is one empty folder",
    client: "every client",
    rule: "REAPI: the empty Directory is the empty blob",
    run: async (target) => {
      const folders = foldersOf(await pagesOf(target, (await blobOf("")).digest));
      check(
        folders.length === 1 && keyOf(folders[0] ?? Directory.fromPartial({})) === "",
        `${folders.length} folders came`,
      );
    },
  },
  {
    name: "a folder that occurs often comes once",
    client: "every client",
    rule: "REAPI: GetTree is over digests, not paths",
    run: async (target) => {
      const shared = { links: { to: unique(8).toString("hex") } };
      const root = await putTree(target, { folders: { a: shared, b: shared, c: shared } });
      same(foldersOf(await pagesOf(target, root)).length, 2, "the number of folders");
    },
  },
  {
    name: "pages hold no more folders than were wished for",
    client: "every client",
    rule: "REAPI: GetTreeRequest.page_size",
    run: async (target) => {
      const root = await putTree(target, { folders: manyFolders(30) });
      const pages = await pagesOf(target, root, { pageSize: 7 });
      const largest = Math.max(...pages.map(({ directories }) => directories.length));
      check(largest <= 7, `a page holds ${largest} folders`);
    },
  },
  {
    name: "a page token goes on where its page ended",
    client: "every client",
    rule: "REAPI: GetTreeResponse.next_page_token",
    run: async (target) => {
      const root = await putTree(target, { folders: manyFolders(30) });
      const seen = new Set<string>();
      let pageToken = "";
      for (let call = 0; call < 40; call += 1) {
        // A server may send the further pages in the same call; each names its successor.
        const [first] = await pagesOf(target, root, { pageSize: 7, pageToken });
        for (const folder of first?.directories ?? []) seen.add(keyOf(folder));
        pageToken = first?.nextPageToken ?? "";
        if (pageToken === "") break;
      }
      same(seen.size, 31, "the number of different folders");
    },
  },
  {
    name: "a tree of over 4 MiB comes in messages that gRPC's defaults take",
    client: "Bazel",
    rule: "gRPC clients receive 4 MiB by default",
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      const outer = Array.from({ length: 5 }, (_, at) => [
        `${at}`,
        { folders: manyFolders(3, 200) },
      ]);
      const large = { links: Object.fromEntries(longLinks(8_000)) };
      const folders = { ...Object.fromEntries(outer), y: large, z: { ...large, files: { a: "" } } };
      const pages = await pagesOf(target, await putTree(target, { folders }));
      same(foldersOf(pages).length, 23, "the number of folders");
    },
  },
  {
    name: "a lost root is NOT_FOUND",
    client: "every client",
    rule: "REAPI: GetTree of an unknown root",
    run: async (target) => {
      await refused(pagesOf(target, await absent()), "NOT_FOUND", "a lost root");
    },
  },
  {
    name: "of a tree with a lost folder the rest comes",
    client: "every client",
    rule: "REAPI: GetTree returns what is present and omits the rest",
    run: async (target) => {
      const there = await putTree(target, { links: { to: unique(8).toString("hex") } });
      const directories = [
        { name: "a", digest: await absent() },
        { name: "b", digest: there },
      ];
      const root = await putDirectory(target, { directories });
      same(foldersOf(await pagesOf(target, root)).length, 2, "the number of folders");
    },
  },
  {
    name: "a root that is no Directory is refused",
    client: "hostile client",
    rule: "REAPI: GetTree of another blob",
    run: async (target) => {
      const blob = await put(target, Buffer.concat([Buffer.from([0xff, 0xff]), unique()]));
      const codes = ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"] as const;
      await refused(pagesOf(target, blob), codes, "a blob of noise");
    },
  },
  {
    name: "page tokens and sizes that make no sense are refused or ignored",
    client: "hostile client",
    rule: "REAPI: GetTreeRequest.page_token, page_size",
    run: async (target) => {
      const root = await putTree(target, { folders: manyFolders(3) });
      const codes = ["INVALID_ARGUMENT", "NOT_FOUND"] as const;
      for (const pageToken of ["-1", "99999", "🍕", "x".repeat(10_000)]) {
        const shown = JSON.stringify(pageToken.slice(0, 20));
        await refused(pagesOf(target, root, { pageToken }), codes, `page_token ${shown}`);
      }
      await pagesOf(target, root, { pageSize: -5 }).catch((error: unknown) => {
        return refused(Promise.reject(error), codes, "page_size -5");
      });
    },
  },
];

function longLinks(count: number): [string, string][] {
  const salt = unique(8).toString("hex");
  return Array.from({ length: count }, (_, at) => [`${at}`.padStart(6, "0"), salt.repeat(16)]);
}
