// The caller's own stream: its items are sent as the server gives credit for them.

export const isFeed = (input) => typeof input?.[Symbol.asyncIterator] === "function";

export class Feed {
  #items;
  #credit;
  #wake = () => {};
  #stopped = false;

  /** failed: told what the caller's iterator throws. */
  constructor(input, link, id, credit, failed) {
    this.#items = input[Symbol.asyncIterator]();
    this.#credit = credit;
    this.#run(link, id).catch((error) => this.#stopped || failed(error));
  }

  grant(count) {
    if (Number.isSafeInteger(count) && count > 0) this.#credit += count;
    this.#wake();
  }

  /** The call is over: let the iterator clean up. What fails in that has nobody to be told. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wake();
    (async () => this.#items.return?.())().catch(() => {});
  }

  async #run(link, id) {
    for (;;) {
      await link.room();
      if (this.#credit <= 0) await new Promise((resolve) => (this.#wake = resolve));
      if (this.#stopped) return;
      const { value, done } = await this.#items.next();
      if (this.#stopped) return;
      link.send(done ? { type: "end", id } : { type: "next", id, message: value });
      if (done) return;
      this.#credit--;
    }
  }
}
