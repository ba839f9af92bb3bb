// A workspace of many small actions that take a while: what a mesh is tried with.

/** `count` targets; each waits for `seconds` and writes `made N`. Every tenth wants the nine before. */
export function manyTargets(
  count: number,
  seconds: number,
  salt = "salt",
): Readonly<Record<string, string>> {
  const targets = Array.from({ length: count }, (_, at) => {
    const before = at % 10 === 9 ? Array.from({ length: 9 }, (_, back) => at - 9 + back) : [];
    const lines = [
      `target t${at}:`,
      "    inputs: [seed.txt]",
      ...(before.length > 0
        ? [`    deps: [${before.map((other) => `t${other}`).join(", ")}]`]
        : []),
      `    command: sleep ${seconds}; echo made ${at} > made-${at}.txt`,
      `    outputs: [made-${at}.txt]`,
    ];
    return lines.join("\n");
  });
  return { "seed.txt": salt, Builderfile: `${targets.join("\n\n")}\n` };
}
