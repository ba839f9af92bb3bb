// A workspace as queries see it: targets are read when they are asked for, and each is one object.

import { formatProblem, ProblemError } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import { parseQuery } from "./parse-query.ts";
import {
  dependencies,
  evaluateQuery,
  type QueryItem,
  type QueryTarget,
  type QueryWorld,
} from "./query.ts";
import type { Edges } from "./query-graph.ts";
import { findDep } from "./target-graph.ts";
import { targetsOf } from "./target-pattern.ts";
import { labelOf, type PlacedTarget, type Workspace } from "./workspace.ts";

/** An answer, sorted by label, and what depends on what in it. */
export interface QueryAnswer {
  readonly items: readonly QueryItem[];
  readonly deps: Edges<QueryItem>;
}

/**
 * Answers a query about a workspace; `files` finds the source files of globs in a package.
 * INVALID_ARGUMENT with the place in the query for what is wrong in it.
 */
export function answerQuery(
  workspace: Workspace,
  text: string,
  files: QueryWorld["files"],
): QueryAnswer {
  const world = queryWorld(workspace, files);
  try {
    const items = [...evaluateQuery(parseQuery(text), world)].sort(byLabel);
    return { items, deps: dependencies(world) };
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    throw new MeshError("INVALID_ARGUMENT", formatProblem(error.problem, text));
  }
}

function queryWorld(workspace: Workspace, files: QueryWorld["files"]): QueryWorld {
  const itemByTarget = new Map<PlacedTarget["target"], QueryTarget>();

  function itemOf(placed: PlacedTarget): QueryTarget {
    const known = itemByTarget.get(placed.target);
    if (known !== undefined) return known;
    const item: QueryTarget = { kind: "target", label: labelOf(placed), placed };
    itemByTarget.set(placed.target, item);
    return item;
  }

  return {
    match: (pattern) => targetsOf(workspace, pattern).targets.map(itemOf),
    resolve: (label, from) => itemOf(findDep(workspace, label, from)),
    packageTargets: (name) => workspace.packageTargets(name).map(itemOf),
    files,
  };
}

function byLabel(a: QueryItem, b: QueryItem): number {
  return a.label < b.label ? -1 : a.label > b.label ? 1 : 0;
}
