// Completes package-lock.json with the platform packages that the registry in use does not carry.
//
// Packages with native parts list one optional package per platform. Where a registry mirror lacks
// one of them, npm leaves it out of the lock file and `npm ci` then refuses the lock as incomplete.
// An entry with the right `os` and `cpu` is enough: npm skips it on every other platform.
// Run after `npm install` on such a mirror: node tools/complete-lock.mjs
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const platforms = ["android", "darwin", "freebsd", "linux", "openbsd", "win32"];
const cpus = ["x64", "arm64", "arm", "armv7", "ia32", "riscv64", "s390x", "ppc64"];

let added = 0;
for (const entry of Object.values({ ...lock.packages })) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`]) continue;
    const words = name.split(/[-/]/);
    const os = platforms.find((platform) => words.includes(platform));
    const cpu = cpus.findLast((candidate) => words.includes(candidate));
    if (!os || !cpu) continue;
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu === "armv7" ? "arm" : cpu],
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      os: [os],
      ...(words.includes("musl") ? { libc: ["musl"] } : {}),
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} platform packages added to package-lock.json`);
