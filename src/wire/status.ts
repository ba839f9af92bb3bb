// Failures as google.rpc.Status with typed details: what gRPC trailers and ExecuteResponses carry.

import type { Digest } from "../core/digest.ts";
import { type Code, codes, failureOf, MeshError } from "../core/error.ts";
import { BadRequest, PreconditionFailure } from "./gen/google/rpc/error_details.ts";
import type { Status } from "./gen/google/rpc/status.ts";
import { formatBlobPath, parseBlobPath } from "./reapi.ts";

/** gRPC's number of each code. */
export const numberByCode: Readonly<Record<Code, number>> = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
};

/** The code of a number on the wire; INTERNAL for one that no code has. */
export function codeOf(number: number): Code {
  return codes.find((name) => numberByCode[name] === number) ?? "INTERNAL";
}

/** Bound: violations named in one status, so that it fits a trailer. */
const violationsMax = 100;

/**
 * Any failure as a Status. Missing blobs (`context.missing`) become a PreconditionFailure with one
 * MISSING violation each, subject `blobs/[function/]hash/size`: clients upload those and try again.
 * Fields that are wrong (`context.fields`) become a BadRequest.
 */
export function toStatus(error: unknown): Status {
  const failure = failureOf(error);
  const missing = missingOf(error);
  const fields = error instanceof MeshError ? wrongFieldsOf(error) : [];
  return {
    code: numberByCode[failure.code],
    message: failure.message,
    details: [
      ...(missing.length === 0 ? [] : [missingDetail(missing)]),
      ...(fields.length === 0 ? [] : [fieldsDetail(fields)]),
    ],
  };
}

/** A field of a request and what is wrong with it. */
export interface WrongField {
  readonly field: string;
  readonly description: string;
}

function wrongFieldsOf(error: MeshError): readonly WrongField[] {
  const { fields } = error.context;
  return Array.isArray(fields) ? fields : [];
}

function fieldsDetail(fields: readonly WrongField[]) {
  const fieldViolations = fields.slice(0, violationsMax).map((wrong) => ({
    field: wrong.field,
    description: wrong.description,
    reason: "",
    localizedMessage: undefined,
  }));
  return {
    typeUrl: "type.googleapis.com/google.rpc.BadRequest",
    value: BadRequest.encode({ fieldViolations }).finish(),
  };
}

/** The blobs whose absence an error reports. */
export function missingOf(error: unknown): readonly Digest[] {
  const missing = error instanceof MeshError ? error.context["missing"] : undefined;
  return Array.isArray(missing) ? missing : [];
}

function missingDetail(missing: readonly Digest[]) {
  const violations = missing.slice(0, violationsMax).map((digest) => ({
    type: "MISSING",
    subject: formatBlobPath(digest),
    description: "",
  }));
  return {
    typeUrl: "type.googleapis.com/google.rpc.PreconditionFailure",
    value: PreconditionFailure.encode({ violations }).finish(),
  };
}

/**
 * The blobs a status names as missing (PreconditionFailure, MISSING). Details are optional hints of
 * a server: those that cannot be read name no blobs, and the status itself still counts.
 */
export function missingDigests({ details }: Pick<Status, "details">): Digest[] {
  return details
    .filter(({ typeUrl }) => typeUrl.endsWith("/google.rpc.PreconditionFailure"))
    .flatMap(({ value }) => violationsOf(value))
    .flatMap(({ type, subject }) => {
      const digest = type === "MISSING" ? parseBlobPath(subject) : undefined;
      return digest === undefined ? [] : [digest];
    });
}

function violationsOf(detail: Uint8Array): PreconditionFailure["violations"] {
  try {
    return PreconditionFailure.decode(detail).violations;
  } catch {
    return [];
  }
}
