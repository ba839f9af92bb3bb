// What a case says when the server is wrong, in sentences: the report is all that its reader sees.

import { isDeepStrictEqual } from "node:util";
import { type ServiceError, status } from "@grpc/grpc-js";

/** The server breaks the rule; the message says how. */
export class Mismatch extends Error {}

/** The rule does not apply to this server; the message says why. */
export class Skipped extends Error {}

/** Names of gRPC's status codes. */
export type CodeName = Exclude<keyof typeof status, number>;

/** The name of a status code. */
export function nameOfCode(code: number): string {
  return status[code] ?? `${code}`;
}

/** Fails the case with `message` unless `condition` holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Mismatch(message);
}

/** A value that must be there. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Mismatch(`${what} is not set`);
  return value;
}

/** Fails unless both are deeply equal. */
export function same(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Mismatch(`${what} is ${shown(actual)}, not ${shown(expected)}`);
}

/** Fails unless both hold the same bytes. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const sizes = `${actual.length} bytes came where ${expected.length} are right`;
  throw new Mismatch(`${what}: ${actual.length === expected.length ? "other bytes came" : sizes}`);
}

/** Fails unless the call is refused with one of `codes`; gives the refusal. */
export async function refused(
  call: Promise<unknown>,
  codes: CodeName | readonly CodeName[],
  what: string,
): Promise<ServiceError> {
  const wanted = typeof codes === "string" ? [codes] : codes;
  const error = await call.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (error === undefined) {
    throw new Mismatch(`${what} was accepted; ${wanted.join(" or ")} is right`);
  }
  if (!isServiceError(error)) throw error;
  if (wanted.some((name) => status[name] === error.code)) return error;
  throw new Mismatch(
    `${what} was refused with ${nameOfCode(error.code)} (${error.details}); ` +
      `${wanted.join(" or ")} is right`,
  );
}

/** True for what gRPC calls reject with. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "number" &&
    "details" in error
  );
}

/** Skips the case where the server does not serve the method at all. */
export async function unlessUnimplemented<T>(call: Promise<T>, what: string): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!isServiceError(error) || error.code !== status.UNIMPLEMENTED) throw error;
    throw new Skipped(`${what} is not served`);
  }
}

/** The same, and where it keeps the method for others than this caller. */
export async function unlessReserved<T>(call: Promise<T>, what: string): Promise<T> {
  try {
    return await unlessUnimplemented(call, what);
  } catch (error) {
    const reserved = [status.UNAUTHENTICATED, status.PERMISSION_DENIED];
    if (!isServiceError(error) || !reserved.includes(error.code)) throw error;
    throw new Skipped(`${what} is not for this caller: name another with --token`);
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, part) =>
    part instanceof Uint8Array ? `${part.length} bytes` : part,
  );
  const whole = text ?? String(value);
  return whole.length > 200 ? `${whole.slice(0, 200)}…` : whole;
}
