import { expect, test } from "vitest";
import { formatRecord } from "../../../src/core/scaling-record.ts";

test("a record is one line, with numbers as exact as anybody needs", () => {
  const record = {
    record: "machine",
    atMs: 7,
    id: "a\nb",
    event: "ready",
    bootMs: 1.23456,
  } as const;
  const line = formatRecord(record);
  expect(line.indexOf("\n")).toBe(line.length - 1);
  expect(JSON.parse(line)).toEqual({ ...record, bootMs: 1.235 });
});
