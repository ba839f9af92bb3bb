// An ingress with the Remote Asset API, and clients of it.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { openAssetRecords } from "../../src/cas/asset-records.ts";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import { type AssetBounds, defaultAssetBounds } from "../../src/ingress/bounds.ts";
import { type IngressDeps, startIngress } from "../../src/ingress/server.ts";
import * as asset from "../../src/wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { callsOf } from "./grpc-calls.ts";

const fetch = grpcDefinition(asset.FetchDefinition);
const push = grpcDefinition(asset.PushDefinition);

type Partly<T extends { fromPartial(object: never): unknown }> = Parameters<T["fromPartial"]>[0];

/** What a test can vary. */
export interface AssetIngressChoice {
  readonly folder: string;
  readonly allow?: readonly string[];
  readonly bounds?: Partial<AssetBounds>;
  readonly store?: IngressDeps["store"];
  readonly now?: () => number;
}

/** Qualifiers from an object. */
export function qualifiers(values: Readonly<Record<string, string>>) {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** Starts an ingress on loopback whose records and spooled files are in `folder`. */
export async function startAssetIngress(choice: AssetIngressChoice) {
  const memory = new MemoryBlobStore();
  const now = choice.now ?? Date.now;
  const spoolFolder = join(choice.folder, "spool");
  mkdirSync(spoolFolder, { recursive: true });
  const options = { folder: join(choice.folder, "assets"), recordsMax: 1000, bytesMax: 1e7 };
  const records = openAssetRecords({ now }, options);
  const ingress = await startIngress(
    {
      store: choice.store ?? memory,
      actionCache: new CompletenessCheckingActionCache({
        base: new MemoryActionCache({ now }),
        store: choice.store ?? memory,
      }),
      scheduler: { submit: () => undefined, abandon: () => undefined },
      status: () => Status.fromPartial({ version: "t" }),
      log: () => undefined,
      now,
    },
    {
      addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }],
      node: "n",
      assets: {
        records,
        allow: choice.allow ?? [],
        spoolFolder,
        bounds: { ...defaultAssetBounds, ...choice.bounds },
      },
    },
  );
  const client = new Client(`127.0.0.1:${ingress.ports[0]}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const { call } = callsOf(client);
  return {
    /** The store, where none was given. */
    memory,
    ingress,
    records,
    spoolFolder,
    /** The client gives up at `deadline`, if any. */
    fetchBlob: (request: Partly<typeof asset.FetchBlobRequest>, deadline?: number) =>
      call(
        fetch.fetchBlob,
        asset.FetchBlobRequest.fromPartial(request),
        undefined,
        deadline === undefined ? {} : { deadline },
      ),
    fetchDirectory: (request: Partly<typeof asset.FetchDirectoryRequest>) =>
      call(fetch.fetchDirectory, asset.FetchDirectoryRequest.fromPartial(request)),
    pushBlob: (request: Partly<typeof asset.PushBlobRequest>) =>
      call(push.pushBlob, asset.PushBlobRequest.fromPartial(request)),
    pushDirectory: (request: Partly<typeof asset.PushDirectoryRequest>) =>
      call(push.pushDirectory, asset.PushDirectoryRequest.fromPartial(request)),
    close: async () => {
      client.close();
      ingress.close();
      await records.close();
    },
  };
}

/** What `startAssetIngress` gives. */
export type AssetIngress = Awaited<ReturnType<typeof startAssetIngress>>;
