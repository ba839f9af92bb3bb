// Whole packets. The noise library hands over a sealed frame as two or three pieces, its length
// among them, and the TCP transport writes each piece by itself: as many system calls and, without
// delay, as many packets. Joined, a small message is one packet.

import type { ConnectionEncrypter, MessageStream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";

/** What makes an encrypter for a peer. */
type MakeEncrypter<Components> = (components: Components) => ConnectionEncrypter;

/** The same encrypter; what it sends at once leaves in one piece. */
export function joinedWrites<Components>(
  make: MakeEncrypter<Components>,
): MakeEncrypter<Components> {
  return (components) => {
    const encrypter = make(components);
    const inbound = encrypter.secureInbound.bind(encrypter);
    const outbound = encrypter.secureOutbound.bind(encrypter);
    encrypter.secureInbound = (connection, options) => inbound(joined(connection), options);
    encrypter.secureOutbound = (connection, options) => outbound(joined(connection), options);
    return encrypter;
  };
}

function joined<Connection extends MessageStream>(connection: Connection): Connection {
  const send = connection.send.bind(connection);
  connection.send = (data) => send(data instanceof Uint8ArrayList ? data.subarray() : data);
  return connection;
}
