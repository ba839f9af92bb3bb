import type { ConnectionEncrypter, MessageStream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { expect, test } from "vitest";
import { joinedWrites } from "../../../src/mesh/joined-writes.ts";

/** Sends a length and its bytes as two pieces, as Noise does. */
const inPieces = (): ConnectionEncrypter => {
  const secure = (connection: MessageStream) => {
    connection.send(new Uint8ArrayList(Uint8Array.of(0, 3), Uint8Array.of(7, 8, 9)));
    connection.send(Uint8Array.of(1));
    return Promise.resolve({} as never);
  };
  return { protocol: "/pieces", secureInbound: secure, secureOutbound: secure };
};

test.each(["secureInbound", "secureOutbound"] as const)("%s sends whole packets", async (way) => {
  const sent: (Uint8Array | Uint8ArrayList)[] = [];
  const connection = { send: (data: Uint8Array | Uint8ArrayList) => sent.push(data) > 0 };
  await joinedWrites(inPieces)({})[way](connection as never);
  expect(sent).toEqual([Uint8Array.of(0, 3, 7, 8, 9), Uint8Array.of(1)]);
});
