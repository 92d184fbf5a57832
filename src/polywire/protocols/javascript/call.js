// One call, from the moment it is made until it has ended, over however many connections that takes.

import { PolywireError, connectionLost } from "./errors.js";
import { Feed, isFeed } from "./feed.js";

/** What all calls have in common. The two kinds say `take(message)` of the server's and `settle(error, value)`. */
export class Call {
  id = 0;
  link = null;
  done = false;
  #sent = false;
  #feed = null;
  #timer;

  constructor(connection, method, input, options) {
    this.connection = connection;
    this.method = method;
    this.input = input;
    this.options = options;
    this.feeds = isFeed(input);
  }

  /** Begin: at once where there is a connection, else when there is one. */
  start() {
    const { signal, timeout } = this.options;
    if (signal?.aborted) {
      this.end(signal.reason);
      return;
    }
    signal?.addEventListener("abort", this.#aborted);
    if (timeout !== undefined) {
      this.deadline = performance.now() + timeout;
      const late = new PolywireError("DEADLINE_EXCEEDED", `the call has not ended within ${timeout} ms`);
      this.#timer = setTimeout(() => this.cancel(late), timeout);
    }
    this.connection.start(this);
  }

  /** Whether it may be sent (again): no handler has seen it, or a second time does no harm. */
  get resumable() {
    return !this.#sent || (!this.feeds && Boolean(this.options.idempotent));
  }

  /** The message that starts it. */
  message() {
    const message = { type: "call", id: this.id, method: this.method };
    if (!this.feeds) message.input = this.input ?? {};
    if (this.deadline !== undefined) message.timeout_s = Math.max(1, this.deadline - performance.now()) / 1000;
    if (this.options.metadata) message.metadata = this.options.metadata;
    return message;
  }

  /** It has been sent over a link, which takes `credit` items of its own stream before the server grants more. */
  sentOver(link, credit) {
    this.link = link;
    this.#sent = true;
    if (this.feeds) this.#feed = new Feed(this.input, link, this.id, credit, (error) => this.cancel(error));
  }

  take(message) {
    if (message.type === "error") this.end(PolywireError.of(message));
    else if (message.type === "credit") this.#feed?.grant(message.count);
    else if (message.type === "lost") this.lost();
    else this.cancel(new PolywireError("INTERNAL", `the server sends "${message.type}", which is not for this call`));
  }

  /** What carried it is gone. isUnseen: the server has not looked at it. */
  lost(isUnseen = false) {
    this.leave();
    if (isUnseen && !this.feeds) this.#sent = false;
    if (this.done) return;
    if (this.resumable) this.connection.again(this);
    else this.end(connectionLost());
  }

  /** End it here and at the server. */
  cancel(error = new PolywireError("CANCELLED", "the call was cancelled")) {
    if (this.done) return;
    this.link?.send({ type: "cancel", id: this.id });
    this.end(error);
  }

  end(error, value) {
    if (this.done) return;
    this.done = true;
    clearTimeout(this.#timer);
    this.options.signal?.removeEventListener("abort", this.#aborted);
    this.#feed?.stop();
    this.leave();
    this.settle(error, value);
  }

  /** Take it off the link that it is on. */
  leave() {
    this.link?.remove(this);
    this.link = null;
  }

  #aborted = () => this.cancel(this.options.signal.reason);
}

/** A call with one answer: `answer` is its promise. */
export class UnaryCall extends Call {
  constructor(connection, method, input, options) {
    super(connection, method, input, options);
    this.answer = new Promise((resolve, reject) => {
      this.settle = (error, value) => (error === undefined ? resolve(value) : reject(error));
    });
  }

  take(message) {
    if (message.type === "result") this.end(undefined, message.message);
    else super.take(message);
  }
}
