// A small collector of traces: OTLP over HTTP, JSON, as the protocol's specification has it.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it came, times in ns. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
  /** Attributes of the resource. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** A collector. */
export interface TraceCollector {
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** Headers of the latest request. */
  headers(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

interface WireAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Starts one. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  let headers: Readonly<Record<string, unknown>> = {};
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    headers = request.headers;
    if (request.method !== "POST" || request.url !== "/v1/traces") {
      response.writeHead(404).end();
      return;
    }
    for (const span of readSpans(JSON.parse(Buffer.concat(parts).toString()))) spans.push(span);
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, spans, headers: () => headers, close: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

// biome-ignore lint/suspicious/noExplicitAny: a test fails by itself where a field is missing
function readSpans(body: any): CollectedSpan[] {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return body.resourceSpans.flatMap((group: any) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    group.scopeSpans.flatMap((scope: any) =>
      // biome-ignore lint/suspicious/noExplicitAny: as above
      scope.spans.map((span: any) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || undefined,
        name: span.name,
        startNs: BigInt(span.startTimeUnixNano),
        endNs: BigInt(span.endTimeUnixNano),
        attributes: fieldsOf(span.attributes),
        isError: span.status?.code === 2,
        resource: fieldsOf(group.resource.attributes),
      })),
    ),
  );
}

function fieldsOf(attributes: readonly WireAttribute[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [kind, of] = Object.entries(value)[0] ?? [];
      return [key, kind === "intValue" ? Number(of) : of];
    }),
  );
}
