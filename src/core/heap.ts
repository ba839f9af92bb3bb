// A binary heap that can also remove and re-sort any item: the base of queues and event loops.

import { assert } from "./assert.ts";

/** Items in the order of `before`; add, take, remove and update cost O(log n). */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #indexByItem = new Map<T, number>();
  readonly #before: (a: T, b: T) => boolean;

  /** `before` must be a strict total order over the items that are in the heap together. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first item; undefined when empty. */
  peek(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    assert(!this.#indexByItem.has(item), "an item is in a heap once");
    this.#items.push(item);
    this.#indexByItem.set(item, this.#items.length - 1);
    this.#rise(this.#items.length - 1);
  }

  /** Takes the first item out; undefined when empty. */
  take(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** True where `item` was in the heap. */
  remove(item: T): boolean {
    const index = this.#indexByItem.get(item);
    if (index === undefined) return false;
    const last = this.#items.pop();
    assert(last !== undefined, "a heap with an indexed item has items");
    this.#indexByItem.delete(item);
    if (last !== item) {
      this.#put(index, last);
      this.#settle(index);
    }
    return true;
  }

  /** Call after the order of `item` changed. */
  update(item: T): void {
    const index = this.#indexByItem.get(item);
    if (index !== undefined) this.#settle(index);
  }

  #settle(index: number): void {
    this.#rise(index);
    this.#sink(index);
  }

  #rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(this.#at(index), this.#at(parent))) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(from: number): void {
    let index = from;
    for (;;) {
      let first = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < this.#items.length && this.#before(this.#at(child), this.#at(first))) {
          first = child;
        }
      }
      if (first === index) return;
      this.#swap(index, first);
      index = first;
    }
  }

  #swap(i: number, j: number): void {
    const item = this.#at(i);
    this.#put(i, this.#at(j));
    this.#put(j, item);
  }

  #put(index: number, item: T): void {
    this.#items[index] = item;
    this.#indexByItem.set(item, index);
  }

  #at(index: number): T {
    const item = this.#items[index];
    assert(item !== undefined, "a heap index is within the heap");
    return item;
  }
}
