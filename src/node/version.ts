// What this program is called where it introduces itself.

import packageJson from "../../package.json" with { type: "json" };

/** The version of package.json. */
export const version: string = packageJson.version;

/** Program and version, for peers and clients. */
export const software = `builder/${version}`;
