// Lengths of sealed frames, read without an error each time. The noise library asks for a next
// frame until its reader throws for want of bytes, once for every piece of data that comes in, and
// a new error walks the stack: 3 to 6% of a busy node's processor time.

import type { ConnectionEncrypter } from "@libp2p/interface";
import type { Uint8ArrayList } from "uint8arraylist";

/** What the library's sealed connections have besides libp2p's interface. */
interface Sealed {
  readonly decoder: { lengthDecoder: (bytes: Uint8ArrayList) => number };
}

/** Thrown again and again: the library only wants to know that it is a RangeError. */
const tooShort = new RangeError("A length takes two bytes.");

/**
 * The same encrypter; its connections read lengths as above. Those of a version of the library that
 * has changed stay as they are.
 */
export function quickLengths<Components>(
  make: (components: Components) => ConnectionEncrypter,
): (components: Components) => ConnectionEncrypter {
  return (components) => {
    const encrypter = make(components);
    const inbound = encrypter.secureInbound.bind(encrypter);
    const outbound = encrypter.secureOutbound.bind(encrypter);
    encrypter.secureInbound = async (...how) => quick(await inbound(...how));
    encrypter.secureOutbound = async (...how) => quick(await outbound(...how));
    return encrypter;
  };
}

function quick<Secured extends { readonly connection: object }>(secured: Secured): Secured {
  const { connection } = secured;
  if (isSealed(connection)) connection.decoder.lengthDecoder = readLength;
  return secured;
}

/** Two bytes, the higher one first (Noise over libp2p, "Wire Format"). */
function readLength(bytes: Uint8ArrayList): number {
  if (bytes.byteLength < 2) throw tooShort;
  return bytes.get(0) * 256 + bytes.get(1);
}

function isSealed(connection: object): connection is Sealed {
  return (
    "decoder" in connection &&
    typeof connection.decoder === "object" &&
    connection.decoder !== null &&
    "lengthDecoder" in connection.decoder &&
    typeof connection.decoder.lengthDecoder === "function"
  );
}
