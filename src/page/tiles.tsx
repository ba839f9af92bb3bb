// Figures as tiles: a word and a value.

/** What is shown. */
export interface TilesProps {
  /** Begins the ids of the values: `cache` and the row `hits` make `cache-hits`. */
  readonly of: string;
  readonly rows: readonly (readonly [id: string, label: string, value: string])[];
}

/** Draws them; values are text that is harmless already. */
export function Tiles({ of, rows }: TilesProps) {
  return (
    <dl class="tiles">
      {rows.map(([id, label, value]) => (
        <div key={id}>
          <dt>{label}</dt>
          <dd id={`${of}-${id}`}>
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}
