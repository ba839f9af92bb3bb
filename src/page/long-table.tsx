// A table of which only the rows in sight are drawn, so that a thousand cost no more than thirty.

import { useRef, useState } from "preact/hooks";
import { Heads } from "./heads.tsx";

/** What it shows. */
export interface LongTableProps<T> {
  readonly caption: string;
  readonly heads: readonly string[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly cells: (row: T) => readonly string[];
  readonly onChoose: (row: T) => void;
}

/** As in page.css. */
const rowHeight = 30;
const seenHeight = 480;
/** Rows drawn above and below what is in sight. */
const spare = 8;

/** Draws it; rows are chosen by click, or by Enter on their first cell. */
export function LongTable<T>({ caption, heads, rows, keyOf, cells, onChoose }: LongTableProps<T>) {
  const [top, setTop] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const last = Math.min(rows.length, Math.ceil((top + seenHeight) / rowHeight) + spare);
  return (
    <section
      class="long"
      ref={place}
      aria-label={caption}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      onScroll={() => setTop(place.current?.scrollTop ?? 0)}
    >
      <table aria-rowcount={rows.length + 1}>
        <Heads names={heads} />
        <tbody>
          <Gap height={first * rowHeight} columns={heads.length} />
          {rows.slice(first, last).map((row, at) => {
            const [title = "", ...others] = cells(row);
            return (
              <tr key={keyOf(row)} aria-rowindex={first + at + 2}>
                <th scope="row">
                  <button type="button" class="plain" onClick={() => onChoose(row)}>
                    <bdi>{title}</bdi>
                  </button>
                </th>
                {others.map((text, column) => (
                  <td key={heads[column + 1]}>
                    <bdi>{text}</bdi>
                  </td>
                ))}
              </tr>
            );
          })}
          <Gap height={(rows.length - last) * rowHeight} columns={heads.length} />
        </tbody>
      </table>
    </section>
  );
}

function Gap({ height, columns }: { readonly height: number; readonly columns: number }) {
  if (height <= 0) return null;
  return (
    <tr>
      <td colSpan={columns} style={{ height: `${height}px`, padding: 0 }} />
    </tr>
  );
}
