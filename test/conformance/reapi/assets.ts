// Remote Asset, where it is served: what is pushed is fetched, what is not understood is refused.

import {
  FetchBlobRequest,
  FetchDefinition,
  PushBlobRequest,
  PushDefinition,
} from "../../../src/wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import { grpcDefinition } from "../../../src/wire/grpc-definition.ts";
import { detailsOf } from "./actions.ts";
import type { Case } from "./case.ts";
import { blobOf, put, unique } from "./content.ts";
import {
  check,
  isServiceError,
  nameOfCode,
  refused,
  same,
  unlessUnimplemented,
} from "./expectations.ts";
import type { Target } from "./target.ts";

const fetches = grpcDefinition(FetchDefinition);
const pushes = grpcDefinition(PushDefinition);

function fetchBlob(target: Target, fields: Parameters<typeof FetchBlobRequest.fromPartial>[0]) {
  const request = FetchBlobRequest.fromPartial({ instanceName: target.instance, ...fields });
  return unlessUnimplemented(target.calls.unary(fetches.fetchBlob, request), "Fetch");
}

function pushBlob(target: Target, fields: Parameters<typeof PushBlobRequest.fromPartial>[0]) {
  const request = PushBlobRequest.fromPartial({ instanceName: target.instance, ...fields });
  return unlessUnimplemented(target.calls.unary(pushes.pushBlob, request), "Push");
}

const newUri = () => `https://conformance.invalid/${crypto.randomUUID()}`;

const sri = (hash: string) => `sha256-${Buffer.from(hash, "hex").toString("base64")}`;

/** Cases of Remote Asset. */
export const assetCases: readonly Case[] = [
  {
    name: "an asset that was pushed is fetched by its URI",
    client: "BuildStream/recc",
    rule: "Remote Asset: PushBlob, FetchBlob",
    run: async (target) => {
      const uri = newUri();
      const blobDigest = await put(target, unique());
      await pushBlob(target, { uris: [uri], blobDigest });
      const found = await fetchBlob(target, { uris: [uri] });
      same(found.status?.code ?? 0, 0, "the status");
      same(found.blobDigest, blobDigest, "blob_digest");
    },
  },
  {
    name: "an asset that cannot be had is NOT_FOUND, not a failed connection",
    client: "Bazel",
    rule: "Remote Asset: FetchBlobResponse.status",
    run: async (target) => {
      const found = await fetchBlob(target, { uris: [newUri()] }).catch((error: unknown) => {
        if (isServiceError(error)) return { status: { code: error.code } };
        throw error;
      });
      const code = nameOfCode(found.status?.code ?? 0);
      const codes = [
        "NOT_FOUND",
        "UNAVAILABLE",
        "PERMISSION_DENIED",
        "INVALID_ARGUMENT",
        "ABORTED",
      ];
      check(codes.includes(code), `the status is ${code}`);
    },
  },
  {
    name: "a qualifier that is not understood is INVALID_ARGUMENT and named",
    client: "Bazel",
    rule: "Remote Asset: unsupported qualifiers are a BadRequest detail",
    run: async (target) => {
      const qualifiers = [{ name: "no.such.qualifier", value: "1" }];
      const call = fetchBlob(target, { uris: [newUri()], qualifiers });
      const error = await refused(call, "INVALID_ARGUMENT", "the qualifier");
      const urls = detailsOf(error).map(({ typeUrl }) => typeUrl);
      check(
        urls.some((url) => url.endsWith("/google.rpc.BadRequest")),
        `the details are ${urls.join(", ")}`,
      );
    },
  },
  {
    name: "several checksums in one qualifier are alternatives",
    client: "Please",
    rule: "Please sends several SRI hashes in one checksum.sri",
    run: async (target) => {
      const uri = newUri();
      const blob = await blobOf(unique());
      const blobDigest = await put(target, blob.bytes);
      const value = [sri((await blobOf(unique())).digest.hash), sri(blobDigest.hash)].join(" ");
      const qualifiers = [{ name: "checksum.sri", value }];
      await pushBlob(target, { uris: [uri], blobDigest, qualifiers });
      const found = await fetchBlob(target, { uris: [uri], qualifiers });
      same(found.blobDigest, blobDigest, "blob_digest");
    },
  },
  {
    name: "a fetch without a URI is refused",
    client: "hostile client",
    rule: "Remote Asset: FetchBlobRequest.uris",
    run: async (target) => {
      await refused(fetchBlob(target, { uris: [] }), "INVALID_ARGUMENT", "a fetch of nothing");
    },
  },
];
