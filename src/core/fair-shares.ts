// Who among several has been served how much, in virtual time: start-time fair queueing (Goyal et
// al., SIGCOMM 1996). Whoever was served less goes first, and nobody saves up time by staying away.

/** Members that are not here whose service is remembered. */
const absentMax = 1_000;

/** The accounts of one group: of all users, or of the invocations of one user. */
export class FairShares {
  readonly #servedMsByMember = new Map<string, number>();
  readonly #countByMember = new Map<string, number>();
  #virtualMs = 0;

  /** Members that are known. */
  get size(): number {
    return this.#servedMsByMember.size;
  }

  /** True while the member waits for something, or its service is remembered. */
  knows(member: string): boolean {
    return this.#servedMsByMember.has(member);
  }

  /** What the member was served, in ms of expected run time. It only grows while it is here. */
  servedMs(member: string): number {
    return this.#servedMsByMember.get(member) ?? 0;
  }

  /** An item of the member begins to wait. */
  join(member: string): void {
    const count = this.#countByMember.get(member) ?? 0;
    this.#countByMember.set(member, count + 1);
    if (count > 0) return;
    // Who comes back cannot claim the time it was away for.
    this.#servedMsByMember.set(member, Math.max(this.servedMs(member), this.#virtualMs));
  }

  /** An item of the member is served. */
  serve(member: string, costMs: number): void {
    const servedMs = this.servedMs(member);
    this.#virtualMs = Math.max(this.#virtualMs, servedMs);
    this.#servedMsByMember.set(member, servedMs + costMs);
  }

  /** An item of the member waits no more. */
  leave(member: string): void {
    const count = (this.#countByMember.get(member) ?? 0) - 1;
    if (count > 0) {
      this.#countByMember.set(member, count);
      return;
    }
    this.#countByMember.delete(member);
    const servedMs = this.servedMs(member);
    this.#servedMsByMember.delete(member);
    // Put back at the end: the first absent member is the one that left first.
    if (servedMs > this.#virtualMs) this.#servedMsByMember.set(member, servedMs);
    this.#forgetAbsent();
  }

  /** Bound: remembers the service of at most `absentMax` members that are not here. */
  #forgetAbsent(): void {
    if (this.#servedMsByMember.size <= this.#countByMember.size + absentMax) return;
    for (const member of this.#servedMsByMember.keys()) {
      if (this.#countByMember.has(member)) continue;
      this.#servedMsByMember.delete(member);
      return;
    }
  }
}
