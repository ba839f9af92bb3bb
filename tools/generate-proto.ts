// Generates src/wire/gen from proto/, with npm packages only: `node tools/generate-proto.ts
// [FOLDER]`.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { delimiter, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? resolve(root, "src/wire/gen"));

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
execFileSync("buf", ["generate", "--output", out], {
  cwd: resolve(root, "proto"),
  stdio: "inherit",
  env: {
    ...process.env,
    PATH: `${resolve(root, "node_modules/.bin")}${delimiter}${process.env["PATH"] ?? ""}`,
  },
});
