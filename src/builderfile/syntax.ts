// What the brace syntax says before it is evaluated.

import type { Place } from "./model.ts";

/** Something that has a value. */
export type Expression = { readonly place: Place } & (
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  /** A text with `${…}` in it. */
  | { readonly kind: "template"; readonly parts: readonly (string | Expression)[] }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "map"; readonly entries: readonly MapEntry[] }
  | { readonly kind: "unary"; readonly operator: "!" | "-"; readonly operand: Expression }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "choice";
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
    }
  | { readonly kind: "call"; readonly callee: Expression; readonly args: readonly Expression[] }
  | { readonly kind: "index"; readonly of: Expression; readonly index: Expression }
  | {
      readonly kind: "slice";
      readonly of: Expression;
      readonly from: Expression | undefined;
      readonly to: Expression | undefined;
    }
  | { readonly kind: "member"; readonly of: Expression; readonly name: string }
  | { readonly kind: "lambda"; readonly params: readonly Parameter[]; readonly body: Expression }
  | PlainValue
);

/** Words without quotes: an expression where they begin with a variable, else a text. */
export interface PlainValue {
  readonly kind: "plain";
  readonly text: string;
  /** The variable they may begin with, and whether a member of it is meant. */
  readonly head: string;
  readonly ofMap: boolean;
  readonly expression: Expression;
}

/** Operators between two values. */
export type BinaryOperator =
  | ("||" | "&&" | "==" | "!=" | "<" | "<=" | ">" | ">=")
  | ("+" | "-" | "*" | "/" | "%");

/** One entry of a map. */
export interface MapEntry {
  readonly name: string;
  readonly place: Place;
  readonly value: Expression;
}

/** A parameter of a function or macro. */
export interface Parameter {
  readonly name: string;
  readonly place: Place;
  readonly default: Expression | undefined;
}

/** A function or macro as it is written. */
export interface FunctionSyntax {
  readonly kind: "function";
  readonly name: string;
  readonly isMacro: boolean;
  readonly params: readonly Parameter[];
  readonly body: readonly Statement[];
}

/** Something that does. */
export type Statement = { readonly place: Place } & (
  | {
      /** `target(…) { … }`, or `workspace(…) { … }`. */
      readonly kind: "declaration";
      readonly what: "target" | "workspace";
      readonly name: Expression;
      readonly body: readonly Statement[];
    }
  | { readonly kind: "field"; readonly name: string; readonly value: Expression }
  | { readonly kind: "block"; readonly name: string; readonly body: readonly Statement[] }
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly constant: boolean;
      readonly value: Expression;
    }
  | { readonly kind: "assignment"; readonly name: string; readonly value: Expression }
  | FunctionSyntax
  | {
      readonly kind: "if";
      readonly branches: readonly {
        readonly condition: Expression;
        readonly body: readonly Statement[];
      }[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly kind: "for";
      readonly name: string;
      readonly list: Expression;
      readonly body: readonly Statement[];
    }
  | { readonly kind: "return"; readonly value: Expression | undefined }
  | { readonly kind: "call"; readonly call: Expression }
  | { readonly kind: "import"; readonly path: string }
);
