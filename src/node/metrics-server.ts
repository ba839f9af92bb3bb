// Answers Prometheus: GET /metrics. Many scrapers, broken ones too, cost it nothing: a text is made
// once a second at most, connections are few and have little time.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Meter } from "../telemetry/metric.ts";
import type { HostPort } from "./config.ts";
import { listenAt } from "./listen.ts";
import { nodeMetrics } from "./metrics.ts";

/** Bounds of what scrapers may take. */
export interface MetricsServerOptions {
  /** Connections at once; further ones are closed at once. */
  readonly connectionsMax: number;
  /** A connection that stands still for so long, in ms, is closed. */
  readonly idleMs: number;
  /** A text is good for so long, in ms. */
  readonly textMs: number;
}

/** Enough for several Prometheus servers and a person with a browser. */
export const metricsServerDefaults: MetricsServerOptions = {
  connectionsMax: 32,
  idleMs: 5_000,
  textMs: 1_000,
};

/** A server of figures. */
export interface MetricsServer {
  /** HOST:PORT as bound. */
  readonly address: string;
  /** Closes the port and every connection. */
  close(): void;
}

/** Listens. UNAVAILABLE names a port that is in use, INVALID_ARGUMENT an address that cannot be. */
export async function startMetricsServer(
  { meter, now }: { readonly meter: Meter; readonly now: () => number },
  address: HostPort,
  options: MetricsServerOptions = metricsServerDefaults,
): Promise<MetricsServer> {
  let text: { readonly atMs: number; readonly rendered: Promise<string> } | undefined;

  function latest(): Promise<string> {
    const nowMs = now();
    if (text === undefined || nowMs - text.atMs >= options.textMs || nowMs < text.atMs) {
      text = { atMs: nowMs, rendered: meter.render() };
    }
    return text.rendered;
  }

  function answer({ method = "", url = "" }: IncomingMessage, response: ServerResponse): void {
    const [path] = url.split("?");
    if (path !== "/metrics" || (method !== "GET" && method !== "HEAD")) {
      refuse(response, path === "/metrics" ? 405 : 404, "Figures are at GET /metrics.\n");
      return;
    }
    latest().then(
      (body) => {
        meter.add(nodeMetrics.scrapes, { result: "answered" });
        const length = Buffer.byteLength(body);
        response.writeHead(200, { "content-type": meter.contentType, "content-length": length });
        response.end(method === "HEAD" ? undefined : body);
      },
      () => refuse(response, 500, "The figures could not be read.\n"),
    );
  }

  function refuse(response: ServerResponse, code: number, why: string): void {
    meter.add(nodeMetrics.scrapes, { result: "refused" });
    response.writeHead(code, { "content-type": "text/plain; charset=utf-8" });
    response.end(why);
  }

  const { idleMs } = options;
  const server = createServer({ requestTimeout: idleMs, headersTimeout: idleMs }, answer);
  server.maxConnections = options.connectionsMax;
  server.on("drop", () => meter.add(nodeMetrics.scrapes, { result: "refused" }));
  // Whoever sends nothing or reads nothing; a scraper that keeps its connection comes back sooner.
  server.setTimeout(idleMs, (socket) => socket.destroy());
  const bound = await listenAt(server, "--metrics", address);
  return {
    address: bound,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
