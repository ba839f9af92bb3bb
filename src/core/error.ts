// The one error vocabulary of the system: gRPC's status codes, each with a sentence for a human.
//
// Codes decide what callers do (retry, re-upload, give up); text decides what people do. Adapters
// throw `MeshError`; the core returns failures as plain values that use the same codes.

/** The gRPC status codes this system uses (https://grpc.io/docs/guides/status-codes). */
export const codes = [
  "CANCELLED",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** One of these codes. */
export type Code = (typeof codes)[number];

/** A failure as data: a code for programs and a sentence, with the remedy, for people. */
export interface Failure {
  readonly code: Code;
  readonly message: string;
}

/** An expected failure of an adapter. The message is a sentence that says what to do next. */
export class MeshError extends Error implements Failure {
  readonly code: Code;
  /** Typed facts about the failure, such as the missing digests; shown in debug logs only. */
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    code: Code,
    message: string,
    context: Readonly<Record<string, unknown>> & { readonly cause?: unknown } = {},
  ) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = "MeshError";
    this.code = code;
    this.context = context;
  }
}

/** Adds "While …" to an error and keeps its code; anything unknown becomes INTERNAL. */
export function wrap(error: unknown, doing: string): MeshError {
  const failure = failureOf(error);
  return new MeshError(failure.code, `${doing}: ${failure.message}`, {
    ...(error instanceof MeshError ? error.context : {}),
    cause: error,
  });
}

/** Reads any thrown value as a `Failure`. A full disk is RESOURCE_EXHAUSTED, never INTERNAL. */
export function failureOf(error: unknown): Failure {
  if (error instanceof MeshError) return error;
  if (!(error instanceof Error)) return { code: "INTERNAL", message: String(error) };
  const errno = "code" in error ? error.code : undefined;
  // The simulator runs from its source beside a bundled program, and has a class of its own.
  const told = error.name === "MeshError" ? codes.find((code) => code === errno) : undefined;
  if (told !== undefined) return { code: told, message: error.message };
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return {
      code: "RESOURCE_EXHAUSTED",
      message: `The disk is full (${error.message}). Free space or lower --store-max.`,
    };
  }
  if (errno === "EMFILE" || errno === "ENFILE") {
    return {
      code: "RESOURCE_EXHAUSTED",
      message: `Too many open files (${error.message}). Raise the limit with ulimit -n.`,
    };
  }
  return { code: "INTERNAL", message: error.message };
}

/** True where trying the same thing again, perhaps elsewhere, can succeed. */
export function isRetryable(code: Code): boolean {
  return code === "UNAVAILABLE" || code === "RESOURCE_EXHAUSTED" || code === "ABORTED";
}
