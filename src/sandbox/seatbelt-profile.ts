// What an action on macOS may do, as a profile of sandbox-exec: everything is denied that is not
// allowed here. Folders are parameters (`-D`), so that no path is ever part of the language.

/** Folders of a run, as the kernel knows them: without links on the way. */
export interface SeatbeltFolders {
  readonly execRoot: string;
  /** For temporary files. */
  readonly temporary: string;
}

/** What of the system an action reads, where it exists; as on Linux, plus Apple's own places. */
const systemFolders = [
  ...["/usr", "/bin", "/sbin", "/opt", "/nix", "/System", "/private/etc"],
  ...["/Library/Apple", "/Library/Developer", "/Library/Java", "/Library/Frameworks"],
  ...["/Applications/Xcode.app", "/private/var/db/dyld", "/private/var/db/timezone"],
  ...["/private/var/db/xcode_select_link", "/private/var/select"],
];

const devices = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/dtracehelper"];

/** Services without which no program starts, names no user or finds no time zone. */
const services = [
  ...["com.apple.system.opendirectoryd.libinfo", "com.apple.system.notification_center"],
  ...["com.apple.system.logger", "com.apple.trustd.agent"],
];

/** The profile of an action that sees no network, or the host's. */
export function seatbeltProfile(network: boolean): string {
  const paths = (kind: string, all: readonly string[]) =>
    all.map((path) => `(${kind} ${JSON.stringify(path)})`).join(" ");
  return [
    "(version 1)",
    "(deny default)",
    "(allow process-fork)",
    "(allow signal (target same-sandbox))",
    "(allow process-info* (target same-sandbox))",
    "(allow sysctl-read system-fcntl)",
    // Names, sizes and times of the folders on the way to a file, which every open asks for.
    '(allow file-read-metadata (path-ancestors (param "ROOT")) (path-ancestors (param "TMP")))',
    '(allow file-read* (literal "/"))',
    `(allow file-read* process-exec file-map-executable ${paths("subpath", systemFolders)})`,
    `(allow file-read-metadata ${paths("literal", ["/etc", "/tmp", "/var", "/dev"])})`,
    '(allow file-read* file-write* process-exec file-map-executable (subpath (param "ROOT")))',
    '(allow file-read* file-write* process-exec file-map-executable (subpath (param "TMP")))',
    `(allow file-read* file-write-data file-ioctl ${paths("literal", devices)})`,
    '(allow file-read* file-write-data (subpath "/dev/fd"))',
    `(allow mach-lookup ${paths("global-name", services)})`,
    "(allow ipc-posix-sem ipc-posix-shm)",
    ...(network ? networkRules : []),
    "",
  ].join("\n");
}

const networkRules = [
  "(allow network* system-socket)",
  '(allow mach-lookup (global-name "com.apple.dnssd.service"))',
  '(allow file-read* (literal "/private/var/run/mDNSResponder"))',
];

/** The words that run a command under the profile. */
export function seatbeltCommand(
  program: string,
  { execRoot, temporary }: SeatbeltFolders,
  network: boolean,
  argv: readonly [string, ...string[]],
): readonly [string, ...string[]] {
  const folders = ["-D", `ROOT=${execRoot}`, "-D", `TMP=${temporary}`];
  return [program, ...folders, "-p", seatbeltProfile(network), "--", ...argv];
}
