// Streams of further protocols beside a link: only members get one, and it ends with the link.

import type { Stream } from "@libp2p/interface";
import type { PeerId } from "../core/action.ts";
import { abort } from "./link.ts";

/** Every stream beside a link, by peer. */
export interface MemberStreams {
  /**
   * Passes a stream on once its peer is linked. The other end may see the link open a moment
   * earlier, so a stream waits for a while before it is hung up on.
   */
  admit(peer: PeerId, stream: Stream, onStream: (peer: PeerId, stream: Stream) => void): void;
  /** Remembers a stream to a linked peer. */
  keep(peer: PeerId, stream: Stream): void;
  linked(peer: PeerId): void;
  /** Ends the peer's streams. */
  unlinked(peer: PeerId): void;
}

/** Bound: streams that wait for their links. */
const waitingMax = 256;

/** A stream waits `waitMs` for its link. */
export function createMemberStreams(options: { readonly waitMs: number }): MemberStreams {
  const streamsByPeer = new Map<PeerId, Set<Stream>>();
  const linkedPeers = new Set<PeerId>();
  const waiting = new Set<{ readonly peer: PeerId; admit(): void }>();

  function keep(peer: PeerId, stream: Stream): void {
    const streams = streamsByPeer.get(peer) ?? new Set();
    streamsByPeer.set(peer, streams.add(stream));
    stream.addEventListener("close", () => {
      streams.delete(stream);
      if (streams.size === 0 && streamsByPeer.get(peer) === streams) streamsByPeer.delete(peer);
    });
  }

  function wait(peer: PeerId, stream: Stream, admit: () => void): void {
    if (waiting.size >= waitingMax) {
      abort(stream, "too many streams wait for their links");
      return;
    }
    const entry = {
      peer,
      admit: () => {
        clearTimeout(timer);
        waiting.delete(entry);
        admit();
      },
    };
    const timer = setTimeout(() => {
      waiting.delete(entry);
      abort(stream, "only members get streams");
    }, options.waitMs);
    timer.unref();
    waiting.add(entry);
  }

  return {
    admit: (peer, stream, onStream) => {
      const admit = () => {
        keep(peer, stream);
        onStream(peer, stream);
      };
      if (linkedPeers.has(peer)) admit();
      else wait(peer, stream, admit);
    },
    keep,
    linked: (peer) => {
      linkedPeers.add(peer);
      for (const entry of [...waiting]) if (entry.peer === peer) entry.admit();
    },
    unlinked: (peer) => {
      linkedPeers.delete(peer);
      for (const stream of streamsByPeer.get(peer) ?? []) abort(stream, "the link ended");
      streamsByPeer.delete(peer);
    },
  };
}
