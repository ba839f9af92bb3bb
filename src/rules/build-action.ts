// A step of a build: one command with its inputs and outputs, before anything is known of bytes.

import type { Hermetic } from "../builderfile/model.ts";

/** Where actions find programs: what the sandbox shows of the system. */
export const systemPath = "/usr/local/bin:/usr/bin:/bin";

/** Where Go's own installer and Debian put it. */
export const goFolders = ["/usr/local/go/bin", "/usr/lib/go/bin"];

/** Where an input comes from. */
export type ActionInput =
  /** A file of the workspace, at the same path inside. */
  | { readonly kind: "source"; readonly path: string }
  /** A folder that must be there, for paths that lead through it. */
  | { readonly kind: "folder"; readonly path: string }
  /** Everything another action made; `at` moves files, path there → path here. */
  | {
      readonly kind: "made";
      readonly by: BuildAction;
      readonly at?: Readonly<Record<string, string>>;
    };

/** What a step does, for those who watch. */
export type Mnemonic =
  | ("CppCompile" | "CppArchive" | "CppLink")
  | ("GoStd" | "GoCompile" | "GoLink")
  | ("JsCheck" | "JsBundle" | "TsCompile")
  | ("JavaCompile" | "RustCompile")
  | ("PythonCheck" | "PythonBundle")
  | ("Custom" | "TestRun");

/** One command of a build. Paths are relative to the workspace, which is the exec root. */
export interface BuildAction {
  /** Unique in a build, stable between builds: `//app:app CppCompile src/main.cpp`. */
  readonly id: string;
  /** Label of the target it belongs to. */
  readonly target: string;
  readonly mnemonic: Mnemonic;
  readonly argv: readonly string[];
  /** Programs that take part beside the first word of `argv`. */
  readonly tools?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly inputs: readonly ActionInput[];
  /** Files or folders it makes; the working directory itself stands for all that is in it. */
  readonly outputs: readonly string[];
  /** Of what it makes, only what these globs or folders cover is kept; empty keeps all. */
  readonly keep: readonly string[];
  readonly hermetic: Hermetic;
  /** The toolchain it wants by name, or `any`; this machine's where undefined. */
  readonly toolchain?: string | undefined;
  readonly remote: boolean;
  readonly cache: boolean;
  readonly priority: number;
  /** Most actions of its target at once; undefined for no own bound. */
  readonly parallelism: number | undefined;
}
