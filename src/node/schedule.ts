// Hours at which more machines are kept, such as `mon-fri 08:00-18:00 min=4`, by the local time of
// the node that scales.

import { MeshError } from "../core/error.ts";

/** A span of some days of the week, and the machines kept in it. */
export interface ScheduledMinimum {
  /** 0 is Sunday. Where the span passes midnight, the days on which it begins. */
  readonly days: ReadonlySet<number>;
  /** Minutes since midnight; `to` is at most 1440, and less than `from` where midnight is passed. */
  readonly from: number;
  readonly to: number;
  readonly min: number;
}

/** The most that a schedule can ask for. */
const minMax = 1_000;
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const example = 'It wants days, hours and a minimum, such as "mon-fri 08:00-18:00 min=4".';

/** Reads one line; INVALID_ARGUMENT says what is wrong with it. */
export function parseSchedule(text: string): ScheduledMinimum {
  const [days = "", hours = "", minimum = "", ...rest] = text.trim().toLowerCase().split(/\s+/);
  const [, fromHour, fromMinute, toHour, toMinute] =
    /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/.exec(hours) ?? [];
  const from = minutesOf(fromHour, fromMinute);
  const to = minutesOf(toHour, toMinute);
  const min = Number(/^min=(\d{1,5})$/.exec(minimum)?.[1] ?? Number.NaN);
  const isSpan = from !== undefined && to !== undefined && from < 1440 && from !== to;
  if (!isSpan || rest.length > 0 || !(min <= minMax)) throw wrong(text);
  return { days: daysOf(days, text), from, to, min };
}

/** The most that any of the schedules keeps at that time; 0 where none does. */
export function scheduledMinimum(schedules: readonly ScheduledMinimum[], at: Date): number {
  const minute = at.getHours() * 60 + at.getMinutes();
  const [today, yesterday] = [at.getDay(), (at.getDay() + 6) % 7];
  const active = schedules.filter(({ days, from, to }) => {
    if (from < to) return days.has(today) && minute >= from && minute < to;
    return (days.has(today) && minute >= from) || (days.has(yesterday) && minute < to);
  });
  return Math.max(0, ...active.map(({ min }) => min));
}

function minutesOf(hour: string | undefined, minute: string | undefined): number | undefined {
  const total = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && total <= 1440 ? total : undefined;
}

function daysOf(text: string, line: string): ReadonlySet<number> {
  if (text === "daily") return new Set(dayNames.keys());
  const days = text.split(",").flatMap((part) => {
    const [first = "", last = first] = part.split("-");
    const [from, to] = [dayNames.indexOf(first), dayNames.indexOf(last)];
    if (from < 0 || to < 0) throw wrong(line);
    return Array.from({ length: ((to - from + 7) % 7) + 1 }, (_, n) => (from + n) % 7);
  });
  return new Set(days);
}

function wrong(text: string): MeshError {
  return new MeshError(
    "INVALID_ARGUMENT",
    `The schedule ${JSON.stringify(text.slice(0, 80))} is not understood. ${example}`,
  );
}
