/** A bounded queue between one writer and one reader, such as the events of a call. Knows nothing of what it holds. */

/** Entries that wait before the writer has to. */
const MAX_WAITING = 256;

/** Hands entries from `push` to an asynchronous loop, in order; a slow reader holds the writer back. */
export class EventQueue<Entry> implements AsyncIterable<Entry> {
  #entries: Entry[] = [];
  #state: { readonly done: boolean; readonly error?: unknown } = { done: false };
  #discarding = false;
  #read = false;
  #wakeReader: (() => void) | null = null;
  #wakeWriters: (() => void)[] = [];

  /** Whether somebody has begun to read. */
  get isRead(): boolean {
    return this.#read;
  }

  /** Adds an entry and resolves when there is room for the next. What comes after the end is dropped. */
  async push(entry: Entry): Promise<void> {
    if (this.#discarding || this.#state.done) return;
    this.#entries.push(entry);
    this.#wakeReader?.();
    if (this.#entries.length < MAX_WAITING) return;
    await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
  }

  /** Ends the reader's loop after the entries that wait. */
  end(): void {
    this.#finish({ done: true });
  }

  /** Ends the reader's loop with an error after the entries that wait. */
  fail(error: unknown): void {
    this.#finish({ done: true, error });
  }

  /** Drops what waits and all that comes. */
  discard(): void {
    this.#discarding = true;
    this.#entries = [];
    this.#releaseWriters();
  }

  #finish(state: { readonly done: boolean; readonly error?: unknown }): void {
    if (this.#state.done) return;
    this.#state = state;
    this.#wakeReader?.();
    this.#releaseWriters();
  }

  #releaseWriters(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Entry, void, undefined> {
    this.#read = true;
    for (;;) {
      const entries = this.#entries;
      this.#entries = [];
      this.#releaseWriters();
      yield* entries;
      if (this.#entries.length > 0) continue;
      if (this.#state.done) break;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
      this.#wakeReader = null;
    }
    if ("error" in this.#state) throw this.#state.error;
  }
}
