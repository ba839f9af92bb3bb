// Where traces go: `--traces URL`, else as the standard environment variables of OpenTelemetry say.

import { MeshError } from "../src/core/error.ts";

const path = "/v1/traces";

/** The collector's URL; undefined: no traces. INVALID_ARGUMENT names what cannot be one. */
export function tracesUrl(
  flag: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (flag !== undefined) return checkedUrl(flag, "--traces");
  if (env["OTEL_SDK_DISABLED"] === "true" || env["OTEL_TRACES_EXPORTER"] === "none") {
    return undefined;
  }
  const [own, base] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
  // That of traces alone is taken as it is, the other is a base for all signals.
  if (env[own]) return parsedUrl(env[own], own).href;
  const shared = env[base];
  if (!shared) return undefined;
  return checkedUrl(`${shared.replace(/\/+$/, "")}${path}`, base);
}

/** A URL without a path is a collector's base. */
function checkedUrl(text: string, from: string): string {
  const url = parsedUrl(text, from);
  if (url.pathname === "/") url.pathname = path;
  return url.href;
}

function parsedUrl(text: string, from: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${from} wants the URL of an OTLP/HTTP collector, such as http://127.0.0.1:4318.`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${from} holds a password, which logs would show. Put it into OTEL_EXPORTER_OTLP_HEADERS.`,
    );
  }
  return url;
}
