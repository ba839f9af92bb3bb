// Where the built page of the dashboard is: in dist/, whether this runs from source or bundled.

import { fileURLToPath } from "node:url";

/** Its path, absolute. */
export const pageFolder = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../dist/page" : "../page", import.meta.url),
);
