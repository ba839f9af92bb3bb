// What a query says, as data, and the functions it may call: parser, hints and evaluation share it.

import type { Place } from "../builderfile/model.ts";

/** A part of a query. */
export type QueryExpression =
  /** A target pattern; as an argument that wants a text or a number, that. */
  | { readonly kind: "word"; readonly text: string; readonly place: Place }
  | { readonly kind: "set"; readonly words: readonly Word[]; readonly place: Place }
  | { readonly kind: "variable"; readonly name: string; readonly place: Place }
  | {
      readonly kind: "call";
      readonly name: FunctionName;
      readonly args: readonly QueryExpression[];
      readonly place: Place;
    }
  /** From left to right, all of one rank. A list, so that a long one is not a deep one. */
  | {
      readonly kind: "operation";
      readonly first: QueryExpression;
      readonly rest: readonly { readonly operator: Operator; readonly right: QueryExpression }[];
      readonly place: Place;
    }
  | {
      readonly kind: "let";
      readonly name: string;
      readonly value: QueryExpression;
      readonly body: QueryExpression;
      readonly place: Place;
    };

/** A target pattern with its place. */
export type Word = Extract<QueryExpression, { readonly kind: "word" }>;

/** What two sets can be made into. */
export type Operator = "union" | "except" | "intersect";

/** Every way to write an operator. */
export const operatorByWord: ReadonlyMap<string, Operator> = new Map([
  ["+", "union"],
  ["union", "union"],
  ["-", "except"],
  ["except", "except"],
  ["&", "intersect"],
  ["^", "intersect"],
  ["intersect", "intersect"],
]);

/** An argument: a set of targets, a regular expression, a field's name or a number of steps. */
export type ArgumentKind = "set" | "regex" | "field" | "depth";

/** Ways to call each function, the shorter first. */
export const functionTable = {
  deps: [["set"], ["set", "depth"]],
  rdeps: [["set"], ["set", "depth"], ["set", "set"], ["set", "set", "depth"]],
  somepath: [["set", "set"]],
  allpaths: [["set", "set"]],
  kind: [["regex", "set"]],
  attr: [["field", "regex", "set"]],
  filter: [["regex", "set"]],
  siblings: [["set"]],
  buildfiles: [["set"]],
  tests: [["set"]],
  labels: [["field", "set"]],
} as const satisfies Record<string, readonly (readonly ArgumentKind[])[]>;

/** A function of the query language. */
export type FunctionName = keyof typeof functionTable;

/** The function of a name, if there is one. */
export function functionNamed(name: string): FunctionName | undefined {
  return functionNames.find((known) => known === name);
}

/** Every function, in the order of the table. */
export const functionNames = Object.keys(functionTable) as FunctionName[];

/** The way of calling a function that some arguments fit; undefined where none does. */
export function signatureOf(
  name: FunctionName,
  args: readonly QueryExpression[],
): readonly ArgumentKind[] | undefined {
  const ways: readonly (readonly ArgumentKind[])[] = functionTable[name];
  return ways.find(
    (kinds) =>
      kinds.length === args.length &&
      kinds.every((kind, at) => {
        const arg = args[at];
        if (kind === "set") return true;
        return arg?.kind === "word" && (kind !== "depth" || /^\d{1,9}$/.test(arg.text));
      }),
  );
}
