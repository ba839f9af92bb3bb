import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyHost } from "../../../src/builderfile/evaluation.ts";
import { formatFile } from "../../../src/builderfile/format.ts";
import type { RawField, RawValue } from "../../../src/builderfile/model.ts";
import { declarationsOf } from "../../../src/builderfile/parse-builderfile.ts";
import { curly } from "../../support/builderfiles.ts";

function formatted(text: string): string {
  const result = formatFile(text, "Builderfile");
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.text;
}

function plainValue(value: RawValue): unknown {
  if (value.kind === "scalar") return value.text;
  return value.kind === "list" ? value.items.map(plainValue) : plainFields(value.fields);
}

function plainFields(fields: readonly RawField[]): unknown {
  return fields.map(({ name, value }) => [name, plainValue(value)]);
}

/** What a file declares, or which problems it has, without any places. */
function meaning(text: string): unknown {
  const { declared, problems } = declarationsOf(text, "Builderfile", emptyHost, "target");
  const messages = problems.map(({ message }) => message.replaceAll(/line \d+|:\d+/g, ""));
  return [declared.map(({ name, fields }) => [name, plainFields(fields)]), messages];
}

/** Holds for every text that can be laid out at all. */
function expectKept(text: string): void {
  const result = formatFile(text, "Builderfile");
  if (!result.ok) return;
  expect(meaning(result.text)).toEqual(meaning(text));
  expect(formatted(result.text)).toBe(result.text);
}

test("the brace syntax has one style", () => {
  const before = curly(`/* What
   it is */
let  x=1 ;let names=[ "a" ,"b@{ f( "}" ) }" ]
fn f(a,b=2){ return a+b;}   // why


  for n in names{
target( "t-"+n ){type:executable;sources :[
src/**/*.c ,  # all
      other.c
] ; hermetic{max_memory:2GiB;}
        env:{A:"x",  B : x>0?"y":"z"}; flags: names[ 0 : 1 ];
  }
}
if(x==1&&x<=2){ x=2 }
`);
  expect(formatted(before)).toBe(
    curly(`/* What
   it is */
let x = 1; let names = ["a", "b@{ f( "}" ) }"]
fn f(a, b = 2) { return a+b; } // why

for n in names {
  target("t-"+n) { type: executable; sources: [
    src/**/*.c, # all
    other.c
    ]; hermetic { max_memory: 2GiB; }
    env: { A: "x", B: x>0? "y" : "z" }; flags: names[0:1];
  }
}
if (x==1&&x<=2) { x = 2 }
`).replace('x>0? "y"', 'x>0?"y"'),
  );
});

test("the indentation syntax has one style", () => {
  const before = `

# The program
target   app :
  type:   executable
  sources:
      -  a.c   # first
       - b.c
  # shell
  command: |

     if x; then   # kept
        y

     fi



  env:
    "A" :  b
# the end
`;
  expect(formatted(before)).toBe(`# The program
target app:
    type: executable
    sources:
        - a.c   # first
        - b.c
    # shell
    command: |

        if x; then   # kept
           y

        fi

    env:
        "A": b
# the end
`);
});

test("what cannot be read is not laid out, and its problems are told", () => {
  expect(formatFile('target("a") { command: "x', "Builderfile")).toMatchObject({
    ok: false,
    problems: [{ message: 'This text never ends; it wants " on its line.' }],
  });
  expect(formatFile("target a:\n\tcommand: x\n", "Builderfile").ok).toBe(false);
});

describe("laying out changes no meaning, and once is enough", () => {
  const blank = fc.constantFrom("", " ", "  ", "\n", "\n\n\n", " /* c */ ", " // c\n", " # c\n");
  const pieces = [
    ...['target("a")', "{", "}", "type", ":", "library", ";", "sources", "[", "]", "a.c", ","],
    ...[
      "let",
      "x",
      "=",
      "==",
      "<=",
      "!=",
      "1",
      "+",
      "-",
      "!",
      "?",
      "(",
      ")",
      "fn",
      "f",
      "if",
      "else",
    ],
    ...[
      "for",
      "in",
      '"t"',
      '"@{x}"',
      "'y'",
      "|v|",
      "&&",
      "||",
      ".b",
      "return",
      "macro",
      "command",
      "*",
    ],
  ];

  test("for words and blanks in any order", () => {
    const words = fc.array(fc.tuple(fc.constantFrom(...pieces), blank), { maxLength: 30 });
    fc.assert(
      fc.property(words, (parts) => expectKept(curly(parts.flat().join("")))),
      { numRuns: 3000 },
    );
  });

  test("for right files with any blanks between their words", () => {
    const right = curly(
      'let x = 1 ; fn f ( a , b = 2 ) { return a == b ? [ a ] : [ b , "@{a}" ] ; } ' +
        'for n in f ( x ) { target ( "t@{n}" ) { type : library ; sources : [ a.c , src/*.c ] + f ( 1 ) ; ' +
        "flags : -O2 -Wall ; env : { A : b , C : x <= 2 ? 'd' : 'e' } ; " +
        "if ( x != 1 ) { cache : false ; } hermetic { max_cpu : 1.5 ; } deps : f ( 2 ) [ 0 : 1 ] ; } }",
    ).split(" ");
    const between = fc.array(fc.constantFrom(" ", "  ", "\n", " \n\n\n ", " /* c */ ", " # c\n"), {
      minLength: right.length,
      maxLength: right.length,
    });
    fc.assert(
      fc.property(between, (blanks) => {
        const text = right.map((word, at) => word + blanks[at]).join("");
        expect(formatFile(text, "Builderfile").ok).toBe(true);
        expectKept(text);
      }),
      { numRuns: 500 },
    );
  });

  test("for indented lines of any depth", () => {
    const line = fc
      .tuple(
        fc.integer({ min: 0, max: 9 }),
        fc.constantFrom(
          ...[
            "target a:",
            "type:  library",
            "sources:",
            "-  a.c # c",
            "- b",
            "command: |",
            "# c",
            "",
          ],
          ...["env :", "A:   b", "x  y", "'q: r'", '"k" : v', "flags: [a,  b]", "target b :", "  "],
        ),
      )
      .map(([indent, text]) => `${" ".repeat(indent)}${text}`);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 14 }), (lines) =>
        expectKept(`target t:\n${lines.join("\n")}`),
      ),
      { numRuns: 4000 },
    );
  });
});
