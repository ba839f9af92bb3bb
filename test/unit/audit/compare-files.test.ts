import { expect, test } from "vitest";
import { compareFiles } from "../../../src/audit/compare-files.ts";

test("equal files do not differ; others at the first byte, with its surroundings", () => {
  const a = Buffer.from("0123456789abcdef0123456789abcdef0123456789abcdefgh");
  const b = Buffer.from(a);
  expect(compareFiles(a, b)).toBeUndefined();
  b.write("X", 33);
  b.write("Y", 40);
  expect(compareFiles(a, b)).toEqual({
    ...{ sizes: [50, 50], differing: 2, offset: 33, onlyBuildId: false },
    dumps: [
      [
        "00000010  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000020  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000030  67 68                                            |gh|",
      ],
      [
        "00000010  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000020  30 58 32 33 34 35 36 37 59 39 61 62 63 64 65 66  |0X234567Y9abcdef|",
        "00000030  67 68                                            |gh|",
      ],
    ],
  });
});

test("a file that is the start of another differs where it ends", () => {
  const found = compareFiles(Buffer.from("abc"), Buffer.from("abcd"));
  expect(found).toMatchObject({ sizes: [3, 4], differing: 0, offset: 3, onlyBuildId: false });
  expect(compareFiles(Buffer.alloc(0), Buffer.from("x"))).toMatchObject({ offset: 0 });
});

test("build ids follow from all else: they are passed over", () => {
  const note = [4, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0];
  const program = (id: number, rest: string) =>
    Buffer.concat([
      Buffer.from("\x7fELF", "latin1"),
      Buffer.from(note),
      Buffer.alloc(8, id),
      Buffer.from(rest),
    ]);
  expect(compareFiles(program(1, "same"), program(2, "same"))).toMatchObject({
    ...{ onlyBuildId: true, offset: 20, differing: 8 },
  });
  expect(compareFiles(program(1, "same"), program(2, "sane"))).toMatchObject({
    ...{ onlyBuildId: false, offset: 30, differing: 9 },
  });
});
