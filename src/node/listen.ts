// Listening for people and programs that come with HTTP.

import type { Server } from "node:http";
import { MeshError } from "../core/error.ts";
import { formatHostPort, type HostPort } from "./config.ts";

/**
 * Listens and returns HOST:PORT as bound; `flag` is where the address came from. UNAVAILABLE names
 * a port that is in use, INVALID_ARGUMENT an address that cannot be.
 */
export async function listenAt(server: Server, flag: string, address: HostPort): Promise<string> {
  const { host, port } = address;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(cannotListen(flag, address, cause)));
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  return formatHostPort({
    host,
    port: (typeof bound === "object" ? bound?.port : undefined) ?? port,
  });
}

function cannotListen(flag: string, address: HostPort, cause: Error): MeshError {
  const at = formatHostPort(address);
  return "code" in cause && cause.code === "EADDRINUSE"
    ? new MeshError("UNAVAILABLE", `Port ${address.port} is in use (${flag} ${at}).`, { cause })
    : new MeshError("INVALID_ARGUMENT", `Cannot listen on ${flag} ${at}: ${cause.message}.`, {
        cause,
      });
}
