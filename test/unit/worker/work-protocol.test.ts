import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WorkRequest, WorkResponse } from "../../../src/wire/gen/builder/work/v1/work.ts";
import {
  createAnswerReader,
  encodeOrder,
  expandFlagFiles,
  splitCommand,
} from "../../../src/worker/work-protocol.ts";

const answers = fc.record({ exitCode: fc.nat(255), output: fc.string({ unit: "grapheme" }) });

function framed(message: Partial<WorkResponse>): Buffer {
  const bytes = WorkResponse.encode(WorkResponse.fromPartial(message)).finish();
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 127; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** Feeds bytes in pieces; the answer that came with the last one. */
function feed(
  format: "proto" | "json",
  bytes: Buffer,
  cuts: readonly number[],
  bytesMax = 1 << 20,
) {
  const reader = createAnswerReader(format, bytesMax);
  const ends = [...new Set(cuts.map((cut) => cut % bytes.length)), bytes.length];
  let from = 0;
  let found: ReturnType<typeof reader.push>;
  for (const end of ends.sort((a, b) => a - b)) {
    expect(found).toBeUndefined();
    found = reader.push(bytes.subarray(from, end));
    from = end;
  }
  return found;
}

describe("a command is split", () => {
  test("into what starts a process and its flag files, however they are written", () => {
    expect(splitCommand(["javac", "-g", "@a", "--flagfile=b", "-flagfile=c", "x"])).toEqual({
      startup: ["javac", "-g", "x", "--persistent_worker"],
      flagFiles: ["@a", "--flagfile=b", "-flagfile=c"],
    });
  });

  test("into nothing where it has no flag file", () => {
    for (const words of [[], ["c"], ["c", "@"], ["c", "@@a"], ["c", "--flagfile"], ["@c"]]) {
      expect(splitCommand(words), words.join(" ")).toBeUndefined();
    }
  });

  test("without losing, adding or turning a word", () => {
    const words = fc.oneof(fc.string(), fc.constantFrom("@f", "--flagfile=f", "-flagfile=f"));
    fc.assert(
      fc.property(fc.string(), fc.array(words), (program, rest) => {
        const split = splitCommand([program, ...rest]);
        if (split === undefined) return;
        const flags = new Set(split.flagFiles);
        const kept = [program, ...rest.filter((word) => !flags.has(word)), "--persistent_worker"];
        expect(split.startup).toEqual(kept);
        expect(split.flagFiles).toEqual(rest.filter((word) => flags.has(word)));
      }),
    );
  });
});

describe("flag files", () => {
  const files: Record<string, string> = {
    a: "1\n\n@b\r\n@@c\n--flagfile=d",
    b: "2\n",
    loop: "@loop",
  };
  const read = (path: string) => {
    const text = files[path];
    if (text === undefined) throw new Error(`no ${path}`);
    return text;
  };

  test("give their lines, those that they name, too", () => {
    expect(expandFlagFiles(["@a", "-flagfile=e"], read)).toEqual([
      ...["1", "2", "@@c", "--flagfile=d"],
      "-flagfile=e",
    ]);
  });

  test("that name themselves, or hold too much, are refused", () => {
    expect(() => expandFlagFiles(["@loop"], read)).toThrow(/holds or names too much/);
    const large = "x".repeat(9 << 20);
    expect(() => expandFlagFiles(["@l", "@l"], () => large)).toThrow(/holds or names too much/);
    expect(() => expandFlagFiles(["@gone"], read)).toThrow("no gone");
  });
});

describe("a request", () => {
  const order = { arguments: ["a", "b c"], inputs: [{ path: "p", hash: "00ff" }] };

  test("is a length and a message", () => {
    const bytes = encodeOrder({ ...order, arguments: ["x".repeat(300)] }, "proto");
    const size = (bytes[0] ?? 0) - 128 + 128 * (bytes[1] ?? 0);
    expect(bytes.length).toBe(2 + size);
    const request = WorkRequest.decode(bytes.subarray(2));
    expect(request).toMatchObject({ requestId: 0, cancel: false, inputs: [{ path: "p" }] });
    expect(Buffer.from(request.inputs[0]?.digest ?? []).toString()).toBe("00ff");
  });

  test("is one line of JSON, where that is wanted", () => {
    const text = Buffer.from(encodeOrder(order, "json")).toString();
    expect(text.indexOf("\n")).toBe(text.length - 1);
    expect(JSON.parse(text)).toEqual({
      arguments: ["a", "b c"],
      inputs: [{ path: "p", digest: "MDBmZg==" }],
      requestId: 0,
    });
  });
});

describe("an answer", () => {
  test("is read whole, in whatever pieces it comes", () => {
    fc.assert(
      fc.property(answers, fc.array(fc.nat(), { maxLength: 9 }), (answer, cuts) => {
        expect(feed("proto", framed(answer), cuts)).toEqual(answer);
        const line = Buffer.from(`${JSON.stringify({ ...answer, requestId: 0 })}\n`);
        expect(feed("json", line, cuts)).toEqual(answer);
      }),
    );
  });

  test("may leave out what is 0 or empty", () => {
    expect(feed("proto", framed({}), [])).toEqual({ exitCode: 0, output: "" });
    expect(feed("json", Buffer.from("{}\n"), [])).toEqual({ exitCode: 0, output: "" });
  });

  test.each([
    ["another request's", { requestId: 7 }, /request 7, which was not sent/],
    ["one that was cancelled", { wasCancelled: true }, /was not cancelled/],
    ["an exit code that is none", { exitCode: 256 }, /exit code 256/],
    ["a negative one", { exitCode: -1 }, /exit code -1/],
  ])("is refused: %s", (_, message, text) => {
    expect(() => feed("proto", framed(message), [])).toThrow(text);
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    expect(() => feed("json", line, [])).toThrow(text);
  });

  test.each(["[]\n", "1\n", "null\n", '"x"\n', "{\n", '{"exitCode":"0"}\n', '{"output":1}\n'])(
    "is refused: the line %j",
    (line) => {
      expect(() => feed("json", Buffer.from(line), [])).toThrow(/The persistent worker answered/);
    },
  );

  test("is refused with anything behind it, and beyond its bound", () => {
    const twice = Buffer.concat([framed({}), framed({})]);
    expect(() => createAnswerReader("proto", 99).push(twice)).toThrow(/behind the answer/);
    expect(() => createAnswerReader("json", 99).push(Buffer.from("{}\n{}\n"))).toThrow(/behind/);
    const long = { output: "x".repeat(200) };
    expect(() => feed("proto", framed(long), [], 100)).toThrow(/more than 100 bytes/);
    expect(() => createAnswerReader("json", 99).push(Buffer.alloc(200, "x"))).toThrow(/99 bytes/);
  });

  test("of any bytes at all is an answer, a refusal, or not yet there", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, isJson) => {
        const reader = createAnswerReader(isJson ? "json" : "proto", 1000);
        try {
          const found = reader.push(bytes);
          if (found !== undefined) expect(found.exitCode).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toMatchObject({ code: "DATA_LOSS" });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
