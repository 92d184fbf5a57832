// How long to wait before the next attempt: full jitter, so that those who were cut off together come back one by one.

export class Backoff {
  #attempts = 0;

  /** firstMs: the bound of the first wait, doubled by each further one up to maxMs. */
  constructor({ firstMs, maxMs }) {
    this.firstMs = firstMs;
    this.maxMs = maxMs;
  }

  /** Milliseconds, anywhere between none and the bound. */
  next() {
    const bound = Math.min(this.maxMs, this.firstMs * 2 ** Math.min(this.#attempts++, 30));
    return Math.random() * bound;
  }

  reset() {
    this.#attempts = 0;
  }
}
