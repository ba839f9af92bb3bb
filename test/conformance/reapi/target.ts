// The server under test, as one case sees it: an address, its capabilities, connections of its own.

import type {
  Platform_Property,
  ServerCapabilities,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { type Calls, capabilities, openCalls } from "./calls.ts";
import { isServiceError, nameOfCode } from "./expectations.ts";

/** How to reach a server. */
export interface Endpoint {
  /** HOST:PORT. */
  readonly address: string;
  /** A PEM file's content, `system` for the machine's own roots, `off` for no TLS. */
  readonly tls: { readonly ca: Buffer } | "system" | "off";
  /** Sent with every call, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly instance: string;
  /** Added to every action, for servers whose workers ask for something. */
  readonly platform: readonly Platform_Property[];
}

/** What a case works with. */
export interface Target {
  readonly endpoint: Endpoint;
  readonly instance: string;
  readonly capabilities: ServerCapabilities;
  /** The case's own connection. */
  readonly calls: Calls;
  /** One more connection; closed with the case. */
  connect(): Calls;
}

/** A target with fresh connections; `close` ends them and every call on them. */
export interface OpenTarget extends Target {
  close(): void;
}

/** Opens the connections of one case. */
export function openTarget(endpoint: Endpoint, known: ServerCapabilities): OpenTarget {
  const opened: Calls[] = [];
  const connect = () => {
    const calls = openCalls(endpoint);
    opened.push(calls);
    return calls;
  };
  return {
    endpoint,
    instance: endpoint.instance,
    capabilities: known,
    calls: connect(),
    connect,
    close: () => {
      for (const calls of opened) calls.close();
    },
  };
}

/**
 * Asks a server for its capabilities. A server without that method serves only what every server
 * does; one that does not answer is an error.
 */
export async function fetchCapabilities(
  endpoint: Endpoint,
  timeoutMs: number,
): Promise<ServerCapabilities> {
  const calls = openCalls(endpoint);
  try {
    const { instance: instanceName } = endpoint;
    return await calls.unary(capabilities.getCapabilities, { instanceName }, { timeoutMs });
  } catch (error) {
    const why = isServiceError(error) ? `${nameOfCode(error.code)}: ${error.details}` : `${error}`;
    throw new Error(`GetCapabilities of ${endpoint.address} failed with ${why}`, { cause: error });
  } finally {
    calls.close();
  }
}
