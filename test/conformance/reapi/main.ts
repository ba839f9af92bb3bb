// The conformance suite as a program: `npm run conformance -- HOST:PORT`. See docs/conformance.md.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { reportJson, reportText } from "./report.ts";
import { runCases } from "./run-cases.ts";
import { allCases } from "./suite.ts";
import { type Endpoint, fetchCapabilities } from "./target.ts";

const usage = `Usage: npm run conformance -- HOST:PORT [options]

Checks a server against the rules of the Remote Execution API and the needs of its clients.

  --instance NAME     instance name of every call
  --only PATTERN      only cases whose name, client or rule matches this regular expression;
                      may be repeated
  --json              the report as JSON
  --tls               TLS, verified by the machine's own authorities
  --tls-ca FILE       TLS, verified by the authorities in this PEM file
  --token TOKEN       sends "authorization: Bearer TOKEN" with every call
  --header NAME=VALUE sends this header with every call; may be repeated
  --platform KEY=VALUE adds this property to every action; may be repeated
  --list              names the cases and calls nobody

Exit code: 0 when nothing failed, 1 when a case failed, 2 when the suite could not run.
`;

const capabilitiesTimeoutMs = 10_000;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      instance: { type: "string", default: "" },
      only: { type: "string", multiple: true, default: [] },
      json: { type: "boolean", default: false },
      tls: { type: "boolean", default: false },
      "tls-ca": { type: "string" },
      token: { type: "string" },
      header: { type: "string", multiple: true, default: [] },
      platform: { type: "string", multiple: true, default: [] },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return { ...values, address: positionals.length === 1 ? positionals[0] : undefined };
}

type Arguments = ReturnType<typeof readArguments>;

function endpointOf(read: Arguments, address: string): Endpoint {
  const headers = read.header.map((text) => splitPair(text, "--header"));
  const token = read.token === undefined ? [] : [["authorization", `Bearer ${read.token}`]];
  const ca = read["tls-ca"];
  const system = read.tls || address.startsWith("grpcs://");
  return {
    address: address.replace(/^grpcs?:\/\//, ""),
    tls: ca !== undefined ? { ca: readFileSync(ca) } : system ? "system" : "off",
    headers: Object.fromEntries([...token, ...headers]),
    instance: read.instance,
    platform: read.platform
      .map((text) => splitPair(text, "--platform"))
      .map(([name, value]) => ({ name, value })),
  };
}

function splitPair(text: string, flag: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new Error(`${flag} wants NAME=VALUE, not ${JSON.stringify(text)}`);
  const name = text.slice(0, at);
  return [flag === "--header" ? name.toLowerCase() : name, text.slice(at + 1)];
}

async function main(): Promise<number> {
  const read = readArguments();
  const patterns = read.only.map((text) => new RegExp(text, "i"));
  const cases = allCases.filter(
    ({ name, client, rule }) =>
      patterns.length === 0 ||
      patterns.some((pattern) => [name, client, rule].some((text) => pattern.test(text))),
  );
  if (read.list) {
    console.log(cases.map(({ client, name, rule }) => `${client}: ${name} [${rule}]`).join("\n"));
    return 0;
  }
  if (read.help || read.address === undefined) {
    console.log(usage);
    return read.help ? 0 : 2;
  }
  if (cases.length === 0) throw new Error(`no case matches ${read.only.join(" or ")}`);
  const endpoint = endpointOf(read, read.address);
  const capabilities = await fetchCapabilities(endpoint, capabilitiesTimeoutMs);
  const outcomes = await runCases(cases, endpoint, capabilities, ({ verdict }) => {
    if (process.stderr.isTTY) process.stderr.write(verdict === "failed" ? "F" : ".");
  });
  if (process.stderr.isTTY) process.stderr.write("\n\n");
  console.log(read.json ? reportJson(endpoint.address, outcomes) : reportText(outcomes));
  return outcomes.some(({ verdict }) => verdict === "failed") ? 1 : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`conformance: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  },
);
