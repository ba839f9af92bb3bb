// Generates src/wire/gen from proto/, with npm packages only: `node tools/generate-proto.ts
// [FOLDER]`.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { delimiter, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? resolve(root, "src/wire/gen"));

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
buf("generate", "--output", out);
// For gRPC reflection: what the messages look like, for programs.
buf("build", "--exclude-source-info", "--output", resolve(out, "descriptors.binpb"));

function buf(...args: string[]): void {
  const path = `${resolve(root, "node_modules/.bin")}${delimiter}${process.env["PATH"] ?? ""}`;
  const env = { ...process.env, PATH: path };
  execFileSync("buf", args, { cwd: resolve(root, "proto"), stdio: "inherit", env });
}
