// Every bound of the ingress in one place: what one client, or many, may make this node hold.

/** Bounds and times of an ingress. */
export interface IngressBounds {
  /** Longest timeout an action may ask for, in ms. */
  readonly timeoutMsMax: number;
  /** Largest Action, Command or Directory message, in bytes. */
  readonly messageBytesMax: number;
  /** Largest stored ExecuteResponse, whose lists of outputs may be long, in bytes. */
  readonly responseBytesMax: number;
  /** Largest message received, in bytes; it also bounds how many digests one call can name. */
  readonly receivedBytesMax: number;
  /** Bytes of all blobs in one batch; advertised to clients. */
  readonly batchBytesMax: number;
  /** Blobs in one batch. No batch of valid digests within `receivedBytesMax` has more. */
  readonly batchBlobsMax: number;
  /** Blobs of one batch that are read or written at once: each holds an open file. */
  readonly batchFilesMax: number;
  /** Largest answer that holds a result, in bytes: gRPC clients refuse messages over 4 MiB. */
  readonly answerBytesMax: number;
  /** Bytes of outputs inlined into one answer. */
  readonly inlineBytesMax: number;
  /** Folders one GetTree call walks. */
  readonly treeFoldersMax: number;
  /** Folders on one page of it. */
  readonly treePageMax: number;
  /** Chunks that one blob is cut into or made of. */
  readonly chunksMax: number;
  /** ByteStream writes under way at once, of all clients: each holds an open file. */
  readonly writesMax: number;
  /** Of those, writes that broke off and may be resumed. */
  readonly writesPausedMax: number;
  /** A ByteStream write that brings nothing for this long is ended, in ms. */
  readonly writeIdleMs: number;
  /** Newest bytes kept of one log stream. */
  readonly logBytesMax: number;
  /** Log streams kept, finished ones included. */
  readonly logsMax: number;
  /** Calls under way at once on one connection. */
  readonly streamsMax: number;
  /** An Execute or WaitExecution stream gets an update at least this often, in ms. */
  readonly keepAliveMs: number;
  /** A silent connection is probed this often, in ms, so that vanished clients are noticed. */
  readonly pingMs: number;
  /** A connection whose client answers no probe for this long is closed, in ms. */
  readonly pingTimeoutMs: number;
  /** Ended operations are remembered this long, in ms, for clients that come back. */
  readonly retainMs: number;
  /** Ended operations that are remembered at most. */
  readonly retainedMax: number;
  /** An action's inputs were sent or asked for at most this long before it, in ms. */
  readonly inputAgeMs: number;
  /** How often it is looked which inputs are still needed, in ms. */
  readonly holdEveryMs: number;
  /** A draining node waits until no call came for this long, in ms. */
  readonly quietMs: number;
  /** It waits at most this long for that, in ms. */
  readonly drainMsMax: number;
}

/** What a node uses unless told otherwise. */
export const defaultBounds: IngressBounds = {
  timeoutMsMax: 24 * 3_600_000,
  messageBytesMax: 4 << 20,
  responseBytesMax: 64 << 20,
  receivedBytesMax: (4 << 20) + (1 << 20),
  batchBytesMax: (4 << 20) - (64 << 10),
  batchBlobsMax: 65_536,
  batchFilesMax: 64,
  answerBytesMax: (4 << 20) - (64 << 10),
  inlineBytesMax: 1 << 20,
  treeFoldersMax: 1_000_000,
  treePageMax: 10_000,
  chunksMax: 50_000,
  writesMax: 2000,
  writesPausedMax: 256,
  writeIdleMs: 300_000,
  logBytesMax: 256 << 10,
  logsMax: 256,
  streamsMax: 1000,
  keepAliveMs: 15_000,
  pingMs: 60_000,
  pingTimeoutMs: 30_000,
  retainMs: 600_000,
  retainedMax: 10_000,
  inputAgeMs: 300_000,
  holdEveryMs: 30_000,
  quietMs: 3000,
  drainMsMax: 30_000,
};

/** Bounds and times of the Remote Asset services. */
export interface AssetBounds {
  /** URIs of one request. */
  readonly urisMax: number;
  /** Characters of one URI. */
  readonly uriCharsMax: number;
  /** Qualifiers of one request. */
  readonly qualifiersMax: number;
  /** Blobs and folders that one association refers to. */
  readonly referencesMax: number;
  /** Largest content fetched from an origin, in bytes. */
  readonly fetchBytesMax: number;
  /** Bytes on disk of all fetches under way. */
  readonly spoolBytesMax: number;
  /** Fetches from origins under way at once; each holds a connection and an open file. */
  readonly fetchesMax: number;
  /** A fetch that asks for no timeout gets this one, in ms. */
  readonly fetchMs: number;
  /** A longer timeout is cut to this, in ms. */
  readonly fetchMsMax: number;
  /** An origin that sends nothing for this long is given up, in ms. */
  readonly originIdleMs: number;
  /** Redirects followed from one URI. */
  readonly redirectsMax: number;
}

/** What a node uses unless told otherwise. */
export const defaultAssetBounds: AssetBounds = {
  urisMax: 100,
  uriCharsMax: 8192,
  qualifiersMax: 1000,
  referencesMax: 10_000,
  fetchBytesMax: 4 * 2 ** 30,
  spoolBytesMax: 16 * 2 ** 30,
  fetchesMax: 64,
  fetchMs: 600_000,
  fetchMsMax: 3_600_000,
  originIdleMs: 30_000,
  redirectsMax: 10,
};
