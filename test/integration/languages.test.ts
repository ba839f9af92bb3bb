import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Ended, type Place, root, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

/** One language: the targets are those of its section in the documentation. */
interface Example {
  readonly heading: string;
  readonly tool: string;
  readonly files: Readonly<Record<string, string>>;
  /** Packages of this checkout that the workspace has installed. */
  readonly installed?: readonly string[];
  readonly says: string;
  /** An edit of the library, with what has to run then. */
  readonly library: Edit;
  /** An edit of the program alone. */
  readonly program: Edit;
  /** Everything in `bin`, sorted. */
  readonly filesMade: readonly string[];
}

interface Edit {
  readonly path: string;
  readonly from: string;
  readonly to: string;
  readonly ran: readonly string[];
  readonly says: string;
}

const examples: readonly Example[] = [
  {
    heading: "Rust",
    tool: "/usr/bin/rustc",
    files: {
      "greet/lib.rs":
        '#[path = "../answer.rs"]\nmod answer;\n' +
        'pub fn greet(name: &str) -> String {\n    format!("hello {} {}", name, answer::ANSWER)\n}\n' +
        '#[test]\nfn greets() {\n    assert!(greet("you").ends_with(" you 42"));\n}\n',
      "app/main.rs":
        'extern "C" {\n    fn sum(a: i32, b: i32) -> i32;\n}\n' +
        'fn main() {\n    println!("{} {}", greet::greet("you"), unsafe { sum(1, 2) });\n}\n',
      "sum.c": "int sum(int a, int b) { return a + b; }\n",
    },
    says: "hello you 42 3\n",
    library: {
      ...{ path: "greet/lib.rs", from: "hello", to: "good day", says: "good day you 42 3\n" },
      ran: ["app RustCompile", "check RustCompile", "greet RustCompile"],
    },
    program: {
      ...{ path: "app/main.rs", from: "sum(1, 2)", to: "sum(2, 2)", says: "good day you 42 4\n" },
      ran: ["app RustCompile"],
    },
    filesMade: ["app", "libgreet.rlib", "libsum.a"],
  },
  {
    heading: "Go",
    tool: "/usr/local/go/bin/go",
    files: {
      "go.mod": "module example.com/demo\n\ngo 1.21\n",
      "greet/greet.go":
        'package greet\n\nimport "fmt"\n\n' +
        'func Greet(name string) string { return fmt.Sprintf("hello %s %d", name, answer) }\n',
      "greet/greet_windows.go": "package greet\n\nvar _ = onlyThere\n",
      "greet/ignored.go": "//go:build ignore || (windows && !linux)\n\npackage main\n",
      "greet/greet_test.go":
        'package greet\n\nimport (\n\t"strings"\n\t"testing"\n)\n\n' +
        'func TestGreet(t *testing.T) {\n\tif !strings.HasSuffix(Greet("you"), " you 42") {\n' +
        '\t\tt.Fatal(Greet("you"))\n\t}\n}\n',
      "app/main.go":
        'package main\n\nimport (\n\t"fmt"\n\n\t"example.com/demo/greet"\n)\n\n' +
        'func main() { fmt.Println(greet.Greet("you")) }\n',
    },
    says: "hello you 42\n",
    library: {
      ...{ path: "greet/greet.go", from: "hello", to: "good day", says: "good day you 42\n" },
      ran: ["app GoCompile", "app GoLink", "check GoCompile", "check GoLink", "greet GoCompile"],
    },
    program: {
      ...{ path: "app/main.go", from: '"you"', to: '"me"', says: "good day me 42\n" },
      ran: ["app GoCompile", "app GoLink"],
    },
    filesMade: ["app", "greet.a"],
  },
  {
    heading: "Java",
    tool: "/usr/bin/javac",
    files: {
      "greet/Greet.java":
        "package greet;\n\npublic class Greet {\n  public static String greet(String name) {\n" +
        '    return "hello " + name + " " + gen.Answer.VALUE;\n  }\n}\n',
      "app/Main.java":
        "package app;\n\npublic class Main {\n" +
        "  public static void main(String[] args) throws java.io.IOException {\n" +
        '    var note = Main.class.getResourceAsStream("/app/note.txt").readAllBytes();\n' +
        '    System.out.print(greet.Greet.greet("you") + new String(note));\n  }\n}\n',
      "app/note.txt": "!\n",
      "check/Check.java":
        "public class Check {\n  public static void main(String[] args) {\n" +
        '    if (!greet.Greet.greet("you").endsWith(" you 42")) throw new AssertionError();\n  }\n}\n',
    },
    says: "hello you 42!\n",
    library: {
      ...{ path: "greet/Greet.java", from: "hello", to: "good day", says: "good day you 42!\n" },
      ran: ["app JavaCompile", "check JavaCompile", "greet JavaCompile"],
    },
    program: {
      ...{ path: "app/note.txt", from: "!", to: "?", says: "good day you 42?\n" },
      ran: ["app JavaCompile"],
    },
    filesMade: ["app", "greet.jar"],
  },
  {
    heading: "JavaScript",
    tool: "/usr/bin/node",
    files: {
      "package.json": '{ "type": "module" }\n',
      "node_modules/padder/package.json":
        '{ "main": "padder.js", "type": "module", "dependencies": { "sign": "1" } }\n',
      "node_modules/padder/padder.js":
        'import { sign } from "sign";\nexport const pad = (text) => sign + text + sign;\n',
      "node_modules/sign/package.json": '{ "main": "sign.mjs" }\n',
      "node_modules/sign/sign.mjs": 'export const sign = "*";\n',
      "greet/greet.js":
        'import { pad } from "padder";\nimport { answer } from "../answer.js";\n' +
        "export const greet = (name) => pad('hello ' + name + ' ' + answer);\n",
      "app/main.js": 'import { greet } from "../greet/greet.js";\nconsole.log(greet("you"));\n',
      "greet.test.js":
        'import { match } from "node:assert";\nimport test from "node:test";\n' +
        'import { greet } from "./greet/greet.js";\n' +
        'test("greets", () => match(greet("you"), / you 42\\*$/));\n',
    },
    says: "*hello you 42*\n",
    library: {
      ...{ path: "greet/greet.js", from: "hello", to: "good day", says: "*good day you 42*\n" },
      ran: ["app JsBundle", "check JsBundle", "greet JsCheck"],
    },
    program: {
      ...{ path: "app/main.js", from: '"you"', to: '"me"', says: "*good day me 42*\n" },
      ran: ["app JsBundle", "app JsCheck"],
    },
    filesMade: [
      "app",
      "app.files/answer.js",
      "app.files/app/main.js",
      "app.files/greet/greet.js",
      "app.files/package.json",
    ],
  },
  {
    heading: "TypeScript",
    tool: "/usr/bin/node",
    installed: ["typescript", "@typescript", "@types/node", "undici-types"],
    files: {
      "package.json": '{ "type": "module" }\n',
      "base.json": '{ "compilerOptions": { "strict": true, "types": ["node"] } }\n',
      "tsconfig.json":
        "{\n  // With a comment.\n" +
        '  "extends": "./base.json",\n  "compilerOptions": {\n    "target": "es2022",\n' +
        '    "module": "nodenext",\n    "noEmit": true,\n' +
        '    "allowImportingTsExtensions": true\n  }\n}\n',
      "greet/greet.ts":
        'import { answer } from "../answer.ts";\n' +
        "export const greet = (name: string): string => 'hello ' + name + ' ' + answer;\n",
      "app/main.ts": 'import { greet } from "../greet/greet.ts";\nconsole.log(greet("you"));\n',
      "greet.test.ts":
        'import { match } from "node:assert";\nimport test from "node:test";\n' +
        'import { greet } from "./greet/greet.ts";\n' +
        'test("greets", () => match(greet("you"), / you 42$/));\n',
    },
    says: "hello you 42\n",
    library: {
      ...{ path: "greet/greet.ts", from: "hello", to: "good day", says: "good day you 42\n" },
      ran: [
        ...["app JsBundle", "app TsCompile", "check JsBundle", "check TsCompile"],
        "greet TsCompile",
      ],
    },
    program: {
      ...{ path: "app/main.ts", from: '"you"', to: '"me"', says: "good day me 42\n" },
      ran: ["app JsBundle", "app TsCompile"],
    },
    filesMade: [
      "app",
      "app.files/answer.js",
      "app.files/app/main.js",
      "app.files/greet/greet.js",
      "app.files/package.json",
      ...["libgreet/answer.d.ts", "libgreet/answer.js"],
      ...["libgreet/greet/greet.d.ts", "libgreet/greet/greet.js"],
    ],
  },
  {
    heading: "Python",
    tool: "/usr/bin/python3",
    files: {
      "greet/greet.py":
        'from answer import ANSWER\n\n\ndef greet(name):\n    return f"hello {name} {ANSWER}"\n',
      "app/main.py": 'from greet.greet import greet\n\nprint(greet("you"))\n',
      "test_greet.py":
        "import unittest\n\nfrom greet.greet import greet\n\n\nclass Greet(unittest.TestCase):\n" +
        '    def test_greet(self):\n        self.assertTrue(greet("you").endswith(" you 42"))\n',
    },
    says: "hello you 42\n",
    library: {
      ...{ path: "greet/greet.py", from: "hello", to: "good day", says: "good day you 42\n" },
      ran: ["app PythonBundle", "greet PythonCheck"],
    },
    program: {
      ...{ path: "app/main.py", from: '"you"', to: '"me"', says: "good day me 42\n" },
      ran: ["app PythonBundle", "app PythonCheck"],
    },
    filesMade: ["app"],
  },
];

/** The Builderfile in a section of the documentation. */
function documented(heading: string): string {
  const text = readFileSync(join(root, "docs/features/languages.md"), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return /```yaml\n([\s\S]*?)```/.exec(section)?.[1] ?? "";
}

function workspaceOf(
  name: string,
  { files, installed }: Pick<Example, "files" | "installed">,
  builderfile: string,
): string {
  const folder = join(place.folder, name);
  for (const [path, text] of Object.entries({ ...files, Builderfile: builderfile })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  for (const name of installed ?? []) {
    const from = join(root, "node_modules", name);
    cpSync(from, join(folder, "node_modules", name), { recursive: true, dereference: true });
  }
  return folder;
}

async function bldr(folder: string, ...args: string[]): Promise<Ended & { ran: string[] }> {
  const ended = await run(place, folder, "bldr", args);
  const ran = ended.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter(({ kind, how }) => kind === "action" && how === "ran")
    .map(({ id }) => id.replace("//:", ""))
    .sort();
  return { ...ended, ran };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
}

for (const example of examples) {
  const { heading, tool, library, program } = example;
  describe.skipIf(!existsSync(tool))(`${heading}, as documented (needs ${tool})`, () => {
    let folder = "";
    beforeAll(async () => {
      folder = workspaceOf(heading, example, documented(heading));
      const built = await bldr(folder, "build", "--json");
      expect(built, built.stdout).toMatchObject({ code: 0, stderr: "" });
    }, 600_000);

    async function says(): Promise<string> {
      return (await run(place, "/", join(folder, "bin/app"), [])).stdout;
    }

    async function edit({ path, from, to }: Edit): Promise<readonly string[]> {
      const text = readFileSync(join(folder, path), "utf8");
      writeFileSync(join(folder, path), text.replace(from, to));
      return (await bldr(folder, "build", "--json")).ran;
    }

    test("a library, a program and a generated source build in the sandbox and run", async () => {
      expect(await says()).toBe(example.says);
      expect(filesBelow(join(folder, "bin"))).toEqual(example.filesMade);
    });

    test("a test passes, and fails when what it tests is wrong", async () => {
      const passed = await bldr(folder, "test");
      expect(passed.stdout).toContain("PASSED //:check");
      const wrong = documented(heading).replace("42", "41");
      writeFileSync(join(folder, "Builderfile"), wrong);
      const failed = await bldr(folder, "test");
      writeFileSync(join(folder, "Builderfile"), documented(heading));
      expect(failed.code).toBe(1);
      expect(failed.stdout + failed.stderr).toContain("//:check");
      expect(failed.stdout + failed.stderr).toContain("FAILED");
    });

    test("other bytes nowhere: another folder and no sandbox make the same files", async () => {
      // `cache: false` makes other actions of them, so that nothing is taken from the first build.
      const again = documented(heading).replaceAll(/^target .*:$/gm, "$&\n    cache: false");
      const other = workspaceOf(`${heading}-elsewhere/deeper`, example, again);
      const built = await bldr(other, "build", "--sandbox", "none", "--json");
      expect(built, built.stdout).toMatchObject({ code: 0, stderr: "" });
      expect(built.ran).toContain("gen Custom");
      for (const path of example.filesMade) {
        const [first, second] = [folder, other].map((at) => readFileSync(join(at, "bin", path)));
        expect(first?.equals(second ?? Buffer.of()), path).toBe(true);
        expect(first?.includes(place.folder), path).toBe(false);
      }
    });

    test("an edit runs what depends on it, and nothing else", async () => {
      writeFileSync(join(folder, "unrelated"), "");
      expect((await bldr(folder, "build", "--json")).ran).toEqual([]);
      expect(await edit(library)).toEqual(library.ran);
      expect(await says()).toBe(library.says);
      expect(await edit(program)).toEqual(program.ran);
      expect(await says()).toBe(program.says);
    });
  });
}

test.skipIf(!existsSync("/usr/bin/rustc"))(
  "a Rust program links a C++ library and a crate of other packages (needs /usr/bin/rustc)",
  async () => {
    const files = {
      Builderspace: "",
      "crate/Builderfile": "target lib:\n    type: library\n    sources: [lib.rs]\n",
      "crate/lib.rs": "pub fn seven() -> usize {\n    7\n}\n",
      "text/Builderfile": "target text:\n    type: library\n    sources: [text.cpp]\n",
      "text/text.cpp":
        "#include <string>\n" +
        'extern "C" unsigned long text() { return ("n" + std::to_string(1234)).size(); }\n',
      "src/main.rs":
        'extern "C" {\n    fn text() -> usize;\n}\n' +
        'fn main() {\n    println!("{} {}", lib::seven(), unsafe { text() });\n}\n',
    };
    const builderfile =
      "target odd-name:\n    type: executable\n    sources: [src/main.rs]\n" +
      "    deps: [//crate:lib, //text:text]\n    flags: -O\n    link_flags: -s\n    output: made\n";
    const folder = workspaceOf("mixed", { files }, builderfile);
    const built = await bldr(folder, "build");
    expect(built.code, built.stdout + built.stderr).toBe(0);
    expect((await run(place, "/", join(folder, "made"), [])).stdout).toBe("7 5\n");
  },
);

test("a tool that is not there is named with the variable that names it", async () => {
  const files = { "main.py": "print(1)\n" };
  const folder = workspaceOf(
    "toolless",
    { files },
    "target app:\n    type: executable\n    sources: [main.py]\n",
  );
  const ended = await run(place, folder, "bldr", ["build"], { PYTHON: "no-such-python" });
  expect(ended.code).toBe(1);
  expect(ended.stdout + ended.stderr).toContain("no-such-python was not found where");
  expect(ended.stdout + ended.stderr).toContain("Install Python 3 there, or name it with PYTHON.");
});
