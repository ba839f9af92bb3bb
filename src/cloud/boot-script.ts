// What a new machine runs to become a member, and how it ends itself when that is over.

import { MeshError } from "../core/error.ts";
import type { BootOrder } from "./provider.ts";

/** Where the `builder` of an image is looked for, after the places that cloud-init knows. */
const paths = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/builder/cli/bin";

/** EC2 takes so many bytes of user data before base64. */
const scriptBytesMax = 16 << 10;

/** The words after `builder` with which a machine joins and ends itself by its boot order. */
export function joinWords(boot: BootOrder): readonly string[] {
  const seconds = (ms: number) => `${Math.ceil(ms / 1000)}s`;
  return [
    ...["join", boot.invitation, "--name", boot.name],
    ...["--boot-join-within", seconds(boot.joinWithinMs)],
    ...["--boot-alone-max", seconds(boot.aloneMsMax)],
  ];
}

/**
 * A script for cloud-init, which runs it as root once: `setup`, then the member, then power off,
 * which ends an instance for good. INVALID_ARGUMENT where it gets too long.
 */
export function bootScript(boot: BootOrder, setup: string): string {
  const encoded = Buffer.from(setup).toString("base64");
  const withinS = Math.ceil(boot.joinWithinMs / 1000);
  const prepare = [
    `printf %s ${encoded} | base64 -d > /run/builder-setup.sh`,
    `timeout ${withinS} sh /run/builder-setup.sh || exit 1`,
  ];
  const script = [
    "#!/bin/sh",
    "# Brings this machine into a Builder mesh, and ends it once that is over.",
    "trap 'shutdown -h now' EXIT",
    `export HOME="\${HOME:-/root}" PATH="$PATH:${paths}"`,
    ...(setup.trim() === "" ? [] : prepare),
    `builder ${joinWords(boot).map(quoted).join(" ")}`,
    "",
  ].join("\n");
  if (Buffer.byteLength(script) <= scriptBytesMax) return script;
  throw new MeshError("INVALID_ARGUMENT", "The script of --setup is too long. Make it shorter.");
}

/** One word for `sh`, whatever is in it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
