import { rmSync, symlinkSync, writeFileSync, chmodSync, mkdirSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { BuildWorkspace } from "../support/build-workspace.ts";
import { createDirectExecutor } from "../support/direct-executor.ts";

let open: BuildWorkspace[] = [];
function ws(files: Record<string, string>) { const w = new BuildWorkspace(files); open.push(w); return w; }
afterEach(() => { for (const w of open) w.remove(); open = []; });

const gen = {
  Builderfile: "target gen:\n    command: mkdir -p gen && sed s/X/$(cat in.txt)/ t.txt > gen/answer.h\n    inputs: [in.txt, t.txt]\n    outputs: [gen/answer.h]\n" +
    "target app:\n    type: executable\n    sources: [main.c]\n    deps: [gen]\n    includes: [gen]\n",
  "in.txt": "42", "t.txt": "#define ANSWER X\n",
  "main.c": '#include <stdio.h>\n#include "answer.h"\nint main(void) { printf("%d", ANSWER); }\n',
};

test("generated header on disk from last build", async () => {
  const w = ws(gen);
  expect((await w.build()).failures).toEqual([]);
  expect(w.run("bin/app")).toBe("42");
  w.write("in.txt", "43");
  expect((await w.build()).failures).toEqual([]);
  expect(w.run("bin/app")).toBe("43");
});

test("same stem different ending", async () => {
  const w = ws({ Builderfile: "target app:\n    type: executable\n    sources: [a.c, a.cpp, main.c]\n",
    "a.c": "int x(void){return 3;}", "a.cpp": 'extern "C" int y(){return 4;}',
    "main.c": '#include <stdio.h>\nint x(void); int y(void); int main(void){printf("%d", x()+y());}' });
  expect((await w.build()).failures).toEqual([]);
  expect(w.run("bin/app")).toBe("7");
});

test("flags -I, -isystem, -iquote, -include", async () => {
  const w = ws({ Builderfile: "target app:\n    type: executable\n    sources: [main.c]\n    flags: -Iinc -isystem sys -iquote quo -include pre.h\n",
    "inc/a.h": "#define A 1\n", "sys/b.h": "#define B 2\n", "quo/c.h": "#define C 3\n", "pre.h": "#define D 4\n",
    "main.c": '#include <stdio.h>\n#include <a.h>\n#include <b.h>\n#include "c.h"\nint main(void){printf("%d", A+B+C+D);}' });
  expect((await w.build()).failures).toEqual([]);
  expect(w.run("bin/app")).toBe("10");
});

test("shadow in an empty include folder", async () => {
  const w = ws({ Builderfile: "target app:\n    type: executable\n    sources: [src/main.c]\n    includes: [first, second]\n",
    "second/a.h": "#define A 1\n", "first/readme": "",
    "src/main.c": '#include <stdio.h>\n#include <a.h>\nint main(void){printf("%d", A);}' });
  for (let i = 0; i < 2; i++) { await w.build(); await new Promise(r => setTimeout(r, 2100)); }
  const quiet = await w.build();
  expect(quiet.calls).toBe(0);
  w.write("first/a.h", "#define A 2\n");
  await w.build();
  expect(w.run("bin/app")).toBe("2");
});
test("shadow in an absent include folder", async () => {
  const w = ws({ Builderfile: "target app:\n    type: executable\n    sources: [src/main.c]\n    includes: [deep/first, second]\n",
    "second/x/a.h": "#define A 1\n", 
    "src/main.c": '#include <stdio.h>\n#include <x/a.h>\nint main(void){printf("%d", A);}' });
  for (let i = 0; i < 2; i++) { await w.build(); await new Promise(r => setTimeout(r, 2100)); }
  w.write("deep/first/x/a.h", "#define A 2\n");
  await w.build();
  expect(w.run("bin/app")).toBe("2");
});

test("store lost, output deleted", async () => {
  const w = ws(gen);
  await w.build();
  w.executor.forget();
  rmSync(w.path("bin/app"));
  expect((await w.build()).failures).toEqual([]);
  expect(w.run("bin/app")).toBe("42");
});

test("glob outputs at the package root and in sub packages", async () => {
  const w = ws({ Builderspace: "", Builderfile: "target a:\n    command: echo 1 > x.o; echo 2 > y.o; echo no > z.txt\n    outputs: ['*.o']\n",
   "sub/Builderfile": "target b:\n    command: echo 1 > x.o\n    outputs: ['*.o']\ntarget c:\n    command: mkdir -p out; cp x.o out/c\n    deps: [b]\n    outputs: [out]\n" });
  expect((await w.build()).failures).toEqual([]);
  expect(w.read("x.o") + w.read("y.o")).toBe("1\n2\n");
  expect((await w.build({ from: "sub" })).failures).toEqual([]);
  expect(w.read("sub/x.o")).toBe("1\n");
  expect(w.read("sub/out/c")).toBe("1\n");
});

test("inputs ** does not eat outputs", async () => {
  const w = ws({ Builderfile: "target a:\n    command: date +%N > stamp\n    outputs: [stamp]\ntarget b:\n    command: ls > list\n    inputs: ['**']\n    outputs: [list]\n", "x": "1" });
  await w.build();
  const again = await w.build();
  expect(again.ids).toEqual([]);
  expect(w.read("list")).toBe("Builderfile\nx\n");
});

test("mixed local and remote", async () => {
  const local = createDirectExecutor("local");
  const w = ws({ Builderfile: "target a:\n    command: echo 1 > x\n    outputs: [x]\n    remote: false\ntarget b:\n    command: cp x y\n    deps: [a]\n    outputs: [y]\ntarget c:\n    command: cp y z\n    deps: [b]\n    outputs: [z]\n    remote: false\n" });
  expect((await w.build({ local })).failures).toEqual([]);
  expect(w.read("z")).toBe("1\n");
});

test("symlinks", async () => {
  const w = ws({ Builderfile: "target a:\n    command: cat in/* > out\n    inputs: ['in/**']\n    outputs: [out]\n", "in/real": "1" });
  symlinkSync("real", w.path("in/link"));
  expect((await w.build()).failures).toEqual([]);
  expect(w.read("out")).toBe("11");
  symlinkSync("nowhere", w.path("in/dangling"));
  mkdirSync(w.path("other")); symlinkSync("../other", w.path("in/folder"));
  await expect(w.build()).resolves.toMatchObject({ ok: true });
  symlinkSync("/etc/hostname", w.path("in/out"));
  await expect(w.build()).rejects.toThrow(/outside/);
});

test("test data and custom deps reach a compiled test", async () => {
  const w = ws({ Builderfile: "target t:\n    type: test\n    sources: [t.c]\n    inputs: [data/*]\n    deps: [g]\ntarget g:\n    command: echo 5 > made\n    outputs: [made]\n",
    "data/d": "3", "t.c": '#include <stdio.h>\nint main(void){return fopen("data/d","r")&&fopen("made","r")?0:1;}' });
  expect((await w.build({ test: true, names: ["t"] })).failures).toEqual([]);
});

test("each glob must match", async () => {
  const w = ws({ Builderfile: "target t:\n    type: executable\n    sources: [t.c, nope.c]\n", "t.c": "int main(void){return 0;}" });
  await expect(w.build()).rejects.toThrow(/Builderfile:3:\d+: error: No file matches nope.c/);
});

test("state garbage", async () => {
  const w = ws(gen);
  await w.build();
  const good = w.read(".builder/state.json");
  for (const bad of ["", "{}", "null", "[]", good.slice(0, 200), good.replaceAll(/"bytes":"[^"]*"/g, '"bytes":5'), good.replaceAll(/"bytes":"[^"]*"/g, '"bytes":"////"'), good.replaceAll(/"look":"[^"]*"/g, '"look":null'), good.replaceAll(/"hash":"[^"]*"/g, '"hash":7')]) {
    writeFileSync(w.path(".builder/state.json"), bad);
    expect((await w.build()).failures).toEqual([]);
  }
});

test("same output twice", async () => {
  const w = ws({ Builderfile: "target a:\n    command: echo 1 > x\n    outputs: [x]\ntarget b:\n    command: echo 2 > x\n    outputs: [x]\n" });
  await expect(w.build()).rejects.toThrow(/a.*b.*x/);
});

test("output is a folder; mode", async () => {
  const w = ws({ Builderfile: "target t:\n    type: executable\n    sources: [t.c]\n", "t.c": "int main(void){return 0;}" });
  await w.build();
  chmodSync(w.path("bin/t"), 0o644);
  await w.build();
  w.run("bin/t");
  rmSync(w.path("bin/t")); mkdirSync(w.path("bin/t"));
  await expect(w.build()).rejects.toThrow(/is a folder/);
});

test("deep chains", async () => {
  let text = "";
  const n = 9000;
  for (let i = 0; i < n; i++) text += `target t${i}:\n    command: x\n` + (i + 1 < n ? `    deps: t${i + 1}\n` : `    deps: t0\n`);
  const w = ws({ Builderfile: text });
  await expect(w.build({ names: ["t0"] })).rejects.toThrow(/depend on each other/);
}, 20000);

test("header with -k, parallelism, jobs", async () => {
  const files: Record<string, string> = { Builderfile: "target l:\n    type: library\n    sources: [s/*.c]\n    parallelism: 2\n" };
  for (let i = 0; i < 8; i++) files[`s/${i}.c`] = `int f${i}(void){return ${i === 3 ? "oops" : i};}`;
  const w = ws(files);
  const r = await w.build({ keepGoing: true, jobs: 8 });
  expect(w.executor.mostAtOnce()).toBe(2);
  expect(r).toMatchObject({ ran: 8, failed: 1, skipped: 1 });
  w.executor = createDirectExecutor();
});
test("label escape", async () => {
  const w = ws({ Builderfile: "target a:\n    command: x\n" });
  await expect(w.build({ names: ["//../x:y"] })).rejects.toThrow(/names no target|leaves/);
});
test("generated source", async () => {
  const w = ws({ Builderfile: "target g:\n    command: mkdir -p gen; echo 'int main(void){return 0;}' > gen/m.c\n    outputs: [gen/m.c]\ntarget a:\n    type: executable\n    sources: [gen/m.c]\n    deps: [g]\n" });
  expect((await w.build()).failures).toEqual([]);
  w.run("bin/a");
  expect((await w.build()).failures).toEqual([]);
});
