// A libp2p peer as this project uses it: TCP, Noise, yamux and nothing that runs by itself.

import { privateKeyFromProtobuf } from "@libp2p/crypto/keys";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p } from "libp2p";

/** Starts a peer with a serialised private key. `listen` are multiaddrs; none to only dial out. */
export function createPeer(key: Uint8Array, listen: readonly string[]): Promise<Libp2p> {
  return createLibp2p({
    privateKey: privateKeyFromProtobuf(key),
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ enableKeepAlive: false })],
    // Links have their own heartbeat. libp2p's gives up within seconds on a node that is only busy,
    // and throws where nobody can catch it when the connection is gone already.
    connectionMonitor: { enabled: false },
    connectionManager: { maxIncomingPendingConnections: 32, inboundConnectionThreshold: 100 },
  });
}
