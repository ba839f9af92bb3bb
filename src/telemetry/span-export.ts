// Sends spans to an OpenTelemetry collector (OTLP over HTTP). Only a node that was asked for traces
// loads this. A collector that is slow or away costs a bounded queue and nothing else.

import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import type { Span } from "./action-spans.ts";
import type { Log } from "./logger.ts";

/** Where spans go and whose they are. */
export interface SpanExportOptions {
  /**
   * Of the collector, `/v1/traces` included. Headers, compression, certificates, OTEL_SERVICE_NAME
   * and OTEL_RESOURCE_ATTRIBUTES are the environment's, which the library reads.
   */
  readonly url: string;
  /** What all spans say, such as `service.name`. */
  readonly resource: Readonly<Record<string, string>>;
  /** Bound: spans that wait; further ones are dropped. */
  readonly queueMax: number;
  readonly batchMax: number;
  /** Spans wait so long at most for others to travel with, in ms. */
  readonly gatherMs: number;
  /** A batch that is not taken within so many ms, further tries included, is dropped. */
  readonly timeoutMs: number;
}

/** For any collector. */
export const spanExportDefaults = {
  ...{ queueMax: 8192, batchMax: 512, gatherMs: 1000, timeoutMs: 10_000 },
} as const;

/** What became of spans since the start. */
export interface SpanCounts {
  readonly exported: number;
  readonly dropped: number;
}

/** Sends spans. */
export interface SpanExport {
  take(span: Span): void;
  counts(): SpanCounts;
  /** Sends what waits, for 2 s at most, and stops. */
  close(): Promise<void>;
}

const closeMs = 2000;
/** The log says at most once in so many ms that spans are lost. */
const warnEveryMs = 60_000;

/** Starts to send. */
export function startSpanExport(
  deps: { readonly log: Log; readonly now: () => number },
  options: SpanExportOptions,
): SpanExport {
  const { url, timeoutMs } = options;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: timeoutMs, concurrencyLimit: 1 });
  const named = detectResources({ detectors: [envDetector] });
  const resource = resourceFromAttributes(options.resource).merge(named);
  const queue: Span[] = [];
  const counts = { exported: 0, dropped: 0 };
  let underWay: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let warnedAtMs = Number.NEGATIVE_INFINITY;

  function send(): void {
    clearTimeout(timer);
    timer = undefined;
    if (underWay !== undefined || queue.length === 0) return;
    const batch = queue.splice(0, options.batchMax);
    underWay = exportBatch(batch).then((error) => {
      underWay = undefined;
      if (error === undefined) counts.exported += batch.length;
      else drop(batch.length, error);
      if (queue.length >= options.batchMax) send();
      else if (queue.length > 0) gather();
    });
  }

  /** Answers what went wrong; never rejects. */
  function exportBatch(batch: readonly Span[]): Promise<Error | undefined> {
    const spans = batch.map((span) => toReadable(span, resource));
    return new Promise((resolve) => {
      exporter.export(spans, ({ code, error }) => {
        resolve(code === 0 ? undefined : (error ?? new Error("it was not taken")));
      });
    });
  }

  function drop(spans: number, error: Error | undefined): void {
    counts.dropped += spans;
    if (deps.now() - warnedAtMs < warnEveryMs) return;
    warnedAtMs = deps.now();
    const why = error?.message ?? "it takes them too slowly";
    deps.log("warn", `The collector at ${url} does not get all traces (${why}); builds go on.`);
  }

  function gather(): void {
    timer ??= setTimeout(send, options.gatherMs).unref();
  }

  async function flush(): Promise<void> {
    while (queue.length > 0 || underWay !== undefined) {
      send();
      await underWay;
    }
  }

  return {
    take: (span) => {
      if (queue.length >= options.queueMax) {
        drop(1, undefined);
        return;
      }
      queue.push(span);
      if (queue.length >= options.batchMax) send();
      else gather();
    },
    counts: () => ({ ...counts }),
    close: async () => {
      const late = Promise.withResolvers<void>();
      const patience = setTimeout(late.resolve, closeMs);
      await Promise.race([flush(), late.promise]);
      clearTimeout(patience);
      clearTimeout(timer);
      queue.length = 0;
    },
  };
}

const noLinks = { links: [], ended: true, instrumentationScope: { name: "builder" } };
const noneDropped = { droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 };

function toReadable(span: Span, resource: ReadableSpan["resource"]): ReadableSpan {
  const { traceId, spanId, parentId, name, startMs, endMs, error } = span;
  const context = { traceId, traceFlags: TraceFlags.SAMPLED };
  return {
    ...noLinks,
    ...noneDropped,
    name,
    kind: parentId === undefined ? SpanKind.SERVER : SpanKind.INTERNAL,
    spanContext: () => ({ ...context, spanId }),
    ...(parentId === undefined ? {} : { parentSpanContext: { ...context, spanId: parentId } }),
    startTime: toHrTime(startMs),
    endTime: toHrTime(endMs),
    duration: toHrTime(Math.max(0, endMs - startMs)),
    status:
      error === undefined
        ? { code: SpanStatusCode.OK }
        : { code: SpanStatusCode.ERROR, message: error },
    attributes: { ...span.attributes },
    events: span.events.map(({ name: event, atMs, attributes }) => {
      return { name: event, time: toHrTime(atMs), attributes: { ...attributes } };
    }),
    resource,
  };
}

function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
