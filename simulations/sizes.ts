// About how many bytes a message takes on the wire, without the encoder, which is not part of the
// core: a field costs its tag, its length and its content.

import type { Token } from "../src/core/action.ts";
import type { Message } from "../src/core/message.ts";

/** Length of a real peer id; names in a simulation are shorter. */
const peerBytes = 54;

/** Length of a usual address: `/ip4/192.168.178.20/tcp/50052` and its tag. */
const addressBytes = 31;

/** Tag, length and content of the envelope, and the frame around it. */
const frameBytes = 6;

/** The estimate, in bytes. */
export function bytesOf(message: Message): number {
  return frameBytes + contentOf(message);
}

function contentOf(message: Message): number {
  switch (message.kind) {
    case "members": {
      // A record: peer, name, incarnation, version, and its own tag and length.
      const records = message.members.map(
        ({ name, addresses }) => peerBytes + name.length + addresses.length * addressBytes + 16,
      );
      return records.reduce((sum, bytes) => sum + bytes, 10);
    }
    case "probe":
    case "probed":
      return peerBytes + 2;
    case "lease":
      return 6;
    case "drain":
      return 12 + message.worker.length;
    case "steal":
    case "granted":
    case "lifeline":
      return 10;
    case "load":
      return 120 + peerBytes;
    case "offer":
      return 400 + tokenBytes(message.token);
    case "done":
      return 90 + tokenBytes(message.token);
    case "renew":
      return message.tokens.reduce((sum, token) => sum + 2 + tokenBytes(token), 0);
    default:
      return tokenBytes(message.token);
  }
}

function tokenBytes({ seq }: Token): number {
  return peerBytes + 4 + Math.ceil(Math.log2(seq + 2) / 7);
}
