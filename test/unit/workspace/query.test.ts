import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fieldTable } from "../../../src/builderfile/fields.ts";
import { formatProblem, ProblemError, type Target } from "../../../src/builderfile/model.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { MeshError } from "../../../src/core/error.ts";
import { parseQuery } from "../../../src/workspace/parse-query.ts";
import { evaluateQuery, type QueryTarget, type QueryWorld } from "../../../src/workspace/query.ts";
import { functionNames } from "../../../src/workspace/query-expression.ts";
import {
  attributeField,
  attributeNames,
  attributeText,
} from "../../../src/workspace/query-fields.ts";

/** One package of targets by name; `//...` and `:*` are all of them. */
function worldOf(text: string): QueryWorld {
  const parsed = parseBuilderfile(text, "Builderfile");
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const all = parsed.value.targets.map(
    (target: Target): QueryTarget => ({
      kind: "target",
      label: `//:${target.name}`,
      placed: { package: "", target },
    }),
  );
  const byName = new Map(all.map((item) => [item.placed.target.name, item]));
  const find = (name: string) => {
    const found = byName.get(name);
    if (found === undefined) throw new MeshError("NOT_FOUND", `There is no target ${name}.`);
    return found;
  };
  return {
    match: (pattern) => (pattern === "//..." ? all : [find(pattern.replace(/^(\/\/)?:/, ""))]),
    resolve: (label) => find(label.name),
    packageTargets: () => all,
    files: (_folder, globs) => globs.map((glob) => glob.replaceAll("*", "x")),
  };
}

function answer(world: QueryWorld, query: string): string[] {
  const items = evaluateQuery(parseQuery(query), world);
  return [...items].map(({ label }) => label.replace("//:", "")).sort();
}

function problem(world: QueryWorld, query: string): string {
  try {
    answer(world, query);
  } catch (error) {
    if (error instanceof ProblemError) return formatProblem(error.problem, query);
    throw error;
  }
  return "";
}

const world = worldOf(`target app:
    type: executable
    sources: [src/*.c]
    deps: [low, high]
    hermetic:
        timeout: 5m
target high:
    type: library
    sources: [high.c]
    deps: [low]
target low:
    type: library
    sources: [low.c]
target check:
    type: test
    sources: [check.c]
    deps: [high]
target gen:
    command: true
    inputs: [in.txt]
    outputs: [out.txt]
    cache: false
`);

describe("a query", () => {
  test.each([
    ["app", ["app"]],
    ["deps(app)", ["app", "high", "low"]],
    ["deps(app, 0)", ["app"]],
    ["deps(check, 1)", ["check", "high"]],
    ["rdeps(low)", ["app", "check", "high", "low"]],
    ["rdeps(low, 1)", ["app", "high", "low"]],
    ["rdeps(check, low)", ["check", "high", "low"]],
    ["rdeps(check, low, 1)", ["high", "low"]],
    ["rdeps(check, gen)", []],
    ["somepath(check, low)", ["check", "high", "low"]],
    ["somepath(app, low)", ["app", "low"]],
    ["somepath(low, app)", []],
    ["allpaths(app, low)", ["app", "high", "low"]],
    ["kind(lib, //...)", ["high", "low"]],
    ["kind('^(test|custom)$', //...)", ["check", "gen"]],
    ['attr(sources, "src/", //...)', ["app"]],
    ["attr(hermetic.timeout, '^300000$', //...)", ["app"]],
    ["attr(cache, false, //...)", ["gen"]],
    ["attr(depends, '//:low', //...)", ["app", "high"]],
    ["filter('h', //...)", ["check", "high"]],
    ["tests(//...)", ["check"]],
    ["siblings(app) - app", ["check", "gen", "high", "low"]],
    ["buildfiles(app)", ["Builderfile"]],
    ["labels(sources, app + high)", ["high.c", "src/x.c"]],
    ["labels(deps, app)", ["high", "low"]],
    ["kind(file, labels(inputs, gen) + app)", ["in.txt"]],
    ["set(app :low)", ["app", "low"]],
    ["set()", []],
    ["let x = deps(high) in //... except $x", ["app", "check", "gen"]],
    ["let x = app in let x = low in $x", ["low"]],
    ["app + low - app", ["low"]],
    ["app - (low + app)", []],
    ["deps(app) & deps(check) ^ low", ["low"]],
    ["app union low intersect low", ["low"]],
  ])("%s", (query, expected) => {
    expect(answer(world, query)).toEqual(expected);
  });

  test.each([
    ["", "query:1:1: error: The query ends where a target pattern or a function is wanted."],
    ["app +", "query:1:6: error: The query ends where"],
    ["dep(app)", "There is no function dep. Did you mean deps? There are deps, rdeps"],
    ["app\n  + nope", "query:2:5: error: There is no target nope.\n    + nope\n      ^"],
    [
      "deps(app",
      "query:1:9: error: A ) is wanted for what begins in column 1, but the query ends.",
    ],
    ["deps(app, low)", "deps is called as deps(SET) or deps(SET, NUMBER)."],
    ["kind(//...)", "kind is called as kind(REGEX, SET)."],
    ["attr(deps(app), x, app)", "attr is called as attr(FIELD, REGEX, SET)."],
    ["attr(source, x, app)", "query:1:6: error: There is no field source. Did you mean sources?"],
    ["labels(output, app)", "output names no targets or files that are there."],
    ["kind('(', app)", "query:1:6: error: Invalid regular expression"],
    ["$x", "There is no variable $x."],
    ["let long = app in $lnog", "There is no variable $lnog. Did you mean long?"],
    ["let 1 = app in app", "let wants a name"],
    ["let x app in app", "A = is wanted"],
    ["let x = app of app", 'let x wants an "in" here'],
    ["app low", '"low" follows a whole query. Put +, - or & before it.'],
    ["app intersct low", "Did you mean intersect?"],
    ["app)", '")" follows a whole query.'],
    ["set(app, low)", "query:1:8: error: set wants target patterns"],
    ["'app", "query:1:1: error: This quote is never closed."],
    ["app ; low", '";" means nothing here; quote it.'],
    [`${"(".repeat(500)}app`, "It is nested over 200 deep. Use let."],
    ["x".repeat(2 << 20), "It has over 1048576 characters."],
  ])("%s is wrong, with its place", (query, message) => {
    expect(problem(world, query)).toContain(message);
  });

  test("of any text is answered or refused with a place, never worse", () => {
    const words = fc.constantFrom(
      ...functionNames,
      ...["(", ")", ",", "+", "-", "&", "let", "x", "=", "in", "$x", "app", "low", "set", '"', "2"],
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
        try {
          evaluateQuery(parseQuery(parts.join(" ")), world);
        } catch (error) {
          expect(error).toBeInstanceOf(ProblemError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("on any graph", () => {
  /** Edges may make circles: a query about a broken graph is a good question. */
  const graph = fc.integer({ min: 1, max: 8 }).chain((size) => {
    const node = fc.integer({ min: 0, max: size - 1 });
    const deps = fc.array(fc.uniqueArray(node, { maxLength: 3 }), {
      minLength: size,
      maxLength: size,
    });
    return fc.record({ deps, a: node, b: node, depth: fc.integer({ min: 0, max: 4 }) });
  });

  function worldOfGraph(deps: readonly (readonly number[])[]): QueryWorld {
    const texts = deps.map((to, at) => {
      const list = to.map((dep) => `t${dep}`).join(", ");
      return `target t${at}:\n    command: x\n    deps: [${list}]\n`;
    });
    return worldOf(texts.join(""));
  }

  /** How many steps it takes from one node to another, by trying all lengths. */
  function distance(deps: readonly (readonly number[])[], from: number, to: number): number {
    let at = new Set([from]);
    for (let steps = 0; steps <= deps.length; steps += 1) {
      if (at.has(to)) return steps;
      at = new Set([...at].flatMap((node) => deps[node] ?? []));
    }
    return Number.POSITIVE_INFINITY;
  }

  test("deps, rdeps, somepath and allpaths are what their definitions say", () => {
    fc.assert(
      fc.property(graph, ({ deps, a, b, depth }) => {
        const asked = worldOfGraph(deps);
        const all = deps.map((_, at) => at);
        const names = (nodes: readonly number[]) => nodes.map((at) => `t${at}`).sort();
        const far = (from: number, to: number) => distance(deps, from, to);
        expect(answer(asked, `deps(t${a})`)).toEqual(
          names(all.filter((at) => far(a, at) < Number.POSITIVE_INFINITY)),
        );
        expect(answer(asked, `deps(t${a}, ${depth})`)).toEqual(
          names(all.filter((at) => far(a, at) <= depth)),
        );
        expect(answer(asked, `rdeps(t${a}, ${depth})`)).toEqual(
          names(all.filter((at) => far(at, a) <= depth)),
        );
        expect(answer(asked, `rdeps(t${a}, t${b})`)).toEqual(
          names(all.filter((at) => far(a, at) + far(at, b) < Number.POSITIVE_INFINITY)),
        );
        expect(answer(asked, `allpaths(t${a}, t${b})`)).toEqual(
          names(all.filter((at) => far(a, at) + far(at, b) < Number.POSITIVE_INFINITY)),
        );
        const path = answer(asked, `somepath(t${a}, t${b})`);
        expect(path.length).toBe(far(a, b) === Number.POSITIVE_INFINITY ? 0 : far(a, b) + 1);
        for (const name of path) {
          const at = Number(name.slice(1));
          expect(far(a, at) + far(at, b), "on a shortest path").toBe(far(a, b));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("set operators are those of sets", () => {
    fc.assert(
      fc.property(graph, ({ deps, a, b }) => {
        const asked = worldOfGraph(deps);
        const [x, y] = [`deps(t${a})`, `rdeps(t${b})`];
        const [left, right] = [new Set(answer(asked, x)), new Set(answer(asked, y))];
        expect(answer(asked, `${x} + ${y}`)).toEqual([...left.union(right)].sort());
        expect(answer(asked, `${x} - ${y}`)).toEqual([...left.difference(right)].sort());
        expect(answer(asked, `${x} & ${y}`)).toEqual([...left.intersection(right)].sort());
      }),
    );
  });

  test("a chain of 100,000 and a ladder of 10,000 with 2^10,000 paths are answered", () => {
    const size = 100_000;
    const chain = placeless(size, (at) => (at + 1 < size ? [at + 1] : []));
    expect(answer(chain, `allpaths(t0, t${size - 1})`)).toHaveLength(size);
    expect(answer(chain, `somepath(t0, t${size - 1})`)).toHaveLength(size);
    expect(answer(chain, `rdeps(t${size - 1})`)).toHaveLength(size);
    const rungs = 20_000;
    const ladder = placeless(rungs, (at) => {
      const next = at - (at % 2) + 2;
      return next < rungs ? [next, next + 1] : [];
    });
    expect(answer(ladder, `allpaths(t0, t${rungs - 1})`)).toHaveLength(rungs - 2);
  });

  test("a row of 10,000 operators is no deep query", () => {
    const row = Array.from({ length: 10_000 }, () => "app").join(" + ");
    expect(answer(world, row)).toEqual(["app"]);
  });
});

/** A large graph, of targets that are alike but for name and deps. */
function placeless(size: number, depsOf: (at: number) => readonly number[]): QueryWorld {
  const [model] = worldOf("target t:\n    command: x\n").match("//...");
  if (model === undefined) throw new Error("no target");
  const { target } = model.placed;
  const all = Array.from({ length: size }, (_, at): QueryTarget => {
    const deps = depsOf(at).map((to) => ({
      ...{ package: undefined, name: `t${to}` },
      place: target.place,
    }));
    const name = `t${at}`;
    return {
      kind: "target",
      label: name,
      placed: { package: "", target: { ...target, name, deps } },
    };
  });
  const find = (name: string) => all[Number(name.slice(1))] ?? model;
  return {
    match: (pattern) => (pattern === "//..." ? all : [find(pattern)]),
    resolve: ({ name }) => find(name),
    packageTargets: () => all,
    files: () => [],
  };
}

test("every field of the table can be asked for", () => {
  const text =
    "target t:\n    type: test\n    command: run\n    hermetic:\n        max_memory: 2GiB\n" +
    "        max_cpu: 1.5\n        timeout: 1s\n        network: true\n        max_log: 1KiB\n" +
    "        max_output_files: 9\n    parallelism: 3\n" +
    "    env:\n        A: b c\n    priority: high\n    inputs: [a, b]\n    deps: [u, //v:w]\n";
  const parsed = parseBuilderfile(text, "Builderfile");
  const target = parsed.ok ? parsed.value.targets[0] : undefined;
  if (target === undefined) throw new Error("no target");
  const texts = Object.fromEntries(
    attributeNames().map((name) => [name, attributeText(target, name, "p")]),
  );
  expect(texts).toMatchObject({
    type: "test",
    command: "run",
    hermetic:
      "[max_memory=2147483648, max_cpu=1.5, timeout=1000, max_processes=, max_open_files=, " +
      "max_output=, max_output_files=9, max_tmp=, max_tmp_files=, max_log=1024, network=true]",
    "hermetic.memory": "2147483648",
    "hermetic.max_cpu": "1.5",
    "hermetic.timeout": "1000",
    "hermetic.network": "true",
    parallelism: "3",
    env: "[A=b c]",
    priority: "-50",
    inputs: "[a, b]",
    depends: "[//p:u, //v:w]",
    sources: "[]",
    language: "",
    remote: "true",
  });
  const keys = new Set([...Object.keys(target), ...Object.keys(target.hermetic)]);
  for (const { name } of fieldTable.flatMap((row) => [row, ...row.fields])) {
    const camel = name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
    const spelled = ["", "Bytes", "Ms", "s"].some((unit) => keys.has(camel + unit));
    expect(spelled, `the model has ${name}`).toBe(true);
    expect(attributeField(name) ?? attributeField(`hermetic.${name}`)).toBeDefined();
  }
  expect(attributeField("constructor")).toBeUndefined();
});
