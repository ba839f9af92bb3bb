// A bad network as a process of its own, for a host with a network of its own:
// `node slow-link-program.ts HOST PORT TO-MULTIADDR DELAY-MS`.

import { startSlowLink } from "./slow-link.ts";

const [host = "", port = "", to = "", delayMs = ""] = process.argv.slice(2);
const network = { delayMs: Number(delayMs), lossPerMille: 0, resendMs: 0 };
await startSlowLink(to, network, { host, port: Number(port) });
process.stdout.write("ready\n");
