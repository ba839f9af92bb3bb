// One link: frames over one libp2p stream, Hello first, a question where it is quiet, a bounded
// outbox.

import type { Stream } from "@libp2p/interface";
import { MeshError, wrap } from "../core/error.ts";
import { encodeFrame, FrameDecoder } from "../wire/frame.ts";
import { Envelope } from "../wire/gen/builder/mesh/v1/mesh.ts";
import { createPulse, type LinkPulse } from "./pulse.ts";
import { spareWindowUpdates } from "./window-updates.ts";

/** Bounds and times of a link. */
export interface LinkOptions {
  /** Largest frame either way, in bytes. */
  readonly messageBytesMax: number;
  /** Bytes that may wait for a slow peer before messages to it are dropped. */
  readonly outboxBytesMax: number;
  /** How long a peer may take to prove membership, in ms. */
  readonly helloMs: number;
  /** A peer to which nothing was said for this long, in ms, is asked how far it is. */
  readonly heartbeatMs: number;
  /** A peer that is silent this long, in ms, counts as gone. */
  readonly silenceMs: number;
}

/** What a link does with what it hears. */
export interface LinkEvents {
  /** Decides whether the other end may take part; throws MeshError otherwise. */
  verify(certificate: Uint8Array, sponsor: Uint8Array): Promise<void>;
  opened(): void;
  message(bytes: Uint8Array): void;
  /** Called once, also for a link that never opened. `broke` where the peer broke the protocol. */
  closed(why: string, broke: boolean): void;
}

/** One end of a link. */
export interface Link {
  /** False where the link is not open or its outbox is full: the message is dropped. */
  send(bytes: Uint8Array): boolean;
  /** How long questions to the peer took. */
  pulse(): LinkPulse;
  /** Verifies what the peer showed once more; closes where it counts no longer. */
  recheck(): void;
  /** Ends it; `broke` where the peer broke the protocol. */
  close(why: string, broke?: boolean): void;
}

type State = "hello" | "open" | "closed";

/** A link looks at itself so often in the time of a heartbeat. */
const beatsPerHeartbeat = 4;

/** Speaks first (Hello), then listens. The stream belongs to the link from here on. */
export function startLink(
  stream: Stream,
  hello: {
    readonly certificate: Uint8Array;
    /** The certificate of the host that vouches for this node, where one does. */
    readonly sponsor?: Uint8Array;
    readonly software: string;
  },
  events: LinkEvents,
  options: LinkOptions,
): Link {
  spareWindowUpdates(stream);
  const decoder = new FrameDecoder({ frameBytesMax: options.messageBytesMax });
  let state: State = "hello";
  const beatMs = options.heartbeatMs / beatsPerHeartbeat;
  /** Beats since the peer was heard, and since something was said to it. */
  let [silentBeats, quietBeats] = [0, 0];
  const isFirst = stream.direction === "outbound";
  const pulse = createPulse(write, () => performance.now(), { isFirst, beatsPerHeartbeat });
  let [inOrder, waiting] = [Promise.resolve(), 0];
  let verifyAgain: () => Promise<void> = async () => undefined;
  /** Frames of this event turn: one send seals and writes them all, which costs as much as one. */
  let outbox: Uint8Array[] = [];
  let outboxBytes = 0;

  const helloTimer = setTimeout(() => close("it sent no certificate in time"), options.helloMs);
  // Beats and not the clock: a node that was itself held up has not listened meanwhile, and would
  // otherwise drop all its peers at once.
  const heartbeat = setInterval(() => {
    silentBeats += 1;
    quietBeats += 1;
    if (silentBeats > options.silenceMs / beatMs) close("it fell silent");
    else if (state === "open") pulse.beat(quietBeats);
  }, beatMs);

  function close(why: string, broke = false): void {
    if (state === "closed") return;
    state = "closed";
    clearTimeout(helloTimer);
    clearInterval(heartbeat);
    abort(stream, why);
    events.closed(why, broke);
  }

  function refuse(error: unknown): void {
    close(wrap(error, "Refused").message, true);
  }

  function write(payload: Uint8Array): boolean {
    if (state === "closed" || stream.writeStatus !== "writable") return false;
    const ahead = stream.writeBufferLength + outboxBytes;
    if (ahead + payload.length > options.outboxBytesMax) return false;
    quietBeats = 0;
    if (outbox.length === 0) queueMicrotask(flush);
    outbox.push(encodeFrame(payload));
    outboxBytes += payload.length;
    return true;
  }

  function flush(): void {
    const frames = outbox;
    outbox = [];
    outboxBytes = 0;
    if (state === "closed" || stream.writeStatus !== "writable") return;
    try {
      // A false answer only says that the buffer grows; its bound was checked before.
      stream.send(frames.length === 1 && frames[0] ? frames[0] : Buffer.concat(frames));
    } catch (error) {
      close(wrap(error, "While sending").message);
    }
  }

  /** Frames that arrive while the certificate is being checked wait behind it. */
  function take(frame: Uint8Array): void {
    if (frame.length === 0 || state === "closed") return;
    if (waiting === 0 && state === "open") {
      if (!pulse.take(frame)) events.message(frame);
      return;
    }
    waiting += 1;
    inOrder = inOrder
      .then(() => receive(frame))
      .catch(refuse)
      .finally(() => {
        waiting -= 1;
      });
  }

  async function receive(frame: Uint8Array): Promise<void> {
    if (state === "closed") return;
    if (state === "open") {
      if (!pulse.take(frame)) events.message(frame);
      return;
    }
    const first = Envelope.decode(frame).message;
    if (first?.$case !== "hello") {
      throw new MeshError("UNAUTHENTICATED", "It spoke before it showed a certificate.");
    }
    const { certificate, sponsor } = first.value;
    verifyAgain = () => events.verify(certificate, sponsor);
    await verifyAgain();
    if (stateNow() === "closed") return;
    state = "open";
    clearTimeout(helloTimer);
    events.opened();
  }

  // A function, because the type checker cannot see that `close` may run during an await.
  function stateNow(): State {
    return state;
  }

  stream.addEventListener("message", (event) => {
    silentBeats = 0;
    const bytes = event.data instanceof Uint8Array ? event.data : event.data.subarray();
    try {
      for (const frame of decoder.push(bytes)) take(frame);
    } catch (error) {
      refuse(error);
    }
  });
  stream.addEventListener("close", () => close("the connection closed"));
  stream.addEventListener("remoteCloseWrite", () => close("it hung up"));

  write(
    Envelope.encode({
      message: {
        $case: "hello",
        value: {
          certificate: hello.certificate,
          protocolMinor: 0,
          software: hello.software,
          sponsor: hello.sponsor ?? new Uint8Array(),
        },
      },
    }).finish(),
  );
  return {
    send: (bytes) => state === "open" && write(bytes),
    pulse: pulse.read,
    recheck: () => {
      // Who was put out meanwhile broke nothing.
      verifyAgain().catch((error: unknown) => close(wrap(error, "Refused").message));
    },
    close: (why, broke = false) => close(why, broke),
  };
}

/** Ends a stream or connection for good, also one that is half gone: libp2p throws for those. */
export function abort(what: { abort(why: Error): void }, why: string): void {
  try {
    what.abort(new Error(why));
  } catch {
    // It cannot tell its peer any more, which is as good as gone.
  }
}
