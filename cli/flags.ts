// Flags as typed values: each parser says what it wants, with an example, when it gets something
// else.

import { InvalidArgumentError } from "commander";
import { parseDuration, parseSize } from "../src/builderfile/quantity.ts";
import type { HostPort } from "../src/node/config.ts";

/** A whole number in a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It wants a whole number from ${min} to ${max}.`);
  };
}

/** `HOST:PORT`, `[::1]:PORT`, `:PORT` or `PORT`; the host left out is `host`. */
export function hostPort(host: string): (text: string) => HostPort {
  return (text) => {
    const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:\s[\]/]+)?:)?(\d{1,5})$/.exec(text);
    const port = Number(match?.[2]);
    if (match === null || port > 65_535) {
      throw new InvalidArgumentError("It wants HOST:PORT, such as 127.0.0.1:9000.");
    }
    return { host: match[1]?.replace(/^\[|\]$/g, "") ?? host, port };
  };
}

/** A size such as `512MiB`, in bytes. */
export function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new InvalidArgumentError("It wants a size, such as 512MiB or 10GiB.");
}

/** A time such as `12h`, in ms. */
export function age(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError("It wants a time, such as 30m, 12h or 7d.");
}
