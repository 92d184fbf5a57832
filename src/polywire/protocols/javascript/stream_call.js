// A call with many answers. What has come and is not read yet is bounded by the credit that the server was given.

import { Backoff } from "./backoff.js";
import { Call } from "./call.js";
import { PolywireError } from "./errors.js";

export class StreamCall extends Call {
  /** Of the last item that came: a call that is sent again goes on after it. */
  position;
  #window;
  #queue = [];
  #readers = [];
  #read = 0;
  #error;
  #retries;
  #timer;
  #begun = false;
  #dropped = false;

  constructor(connection, method, input, options) {
    super(connection, method, input, options);
    this.position = options.after;
    this.#window = options.window ?? connection.settings.window;
    this.#retries = new Backoff(connection.settings.backoff);
  }

  /** A topic's: it begins with a greeting, and may be polled for. */
  get subscription() {
    return Boolean(this.options.subscription);
  }

  get resumable() {
    return super.resumable || (!this.feeds && this.position !== undefined);
  }

  message() {
    const message = super.message();
    message.credit = Math.max(1, this.#window - this.#queue.length); // what waits here keeps its room
    this.#read = 0;
    if (this.position !== undefined) message.after = this.position;
    return message;
  }

  /** Where there is no position to go on from, what came meanwhile is lost, which a subscription must tell. */
  sentOver(link, credit) {
    super.sentOver(link, credit);
    if (this.subscription && this.#begun && this.position === undefined) {
      this.#deliver({ message: { gap: { after: "", reason: "NO_POSITION" } } });
    }
  }

  take(message) {
    if (message.type === "next") this.#deliver(message);
    else if (message.type === "end") this.end();
    else if (this.resumable && (message.type === "lost" || message.code === "UNAVAILABLE")) this.#later();
    else super.take(message);
  }

  #deliver({ message: value, position }) {
    if (this.#queue.length > this.#window) {
      this.cancel(new PolywireError("INTERNAL", "the server sends more than it was given credit for"));
      return;
    }
    if (position !== undefined) this.position = position;
    this.#begun = true;
    this.#retries.reset();
    const item = { value, position };
    const reader = this.#readers.shift();
    if (reader === undefined) this.#queue.push(item);
    else reader.resolve(this.#handed(item));
  }

  /** The server has ended it for now, or only this one was cut off: send it again in a while. */
  #later() {
    this.leave();
    this.#timer = setTimeout(() => this.connection.again(this), this.#retries.next());
  }

  /** The next item as {value, position}; undefined at the end. Rejects with what the stream has failed with, once. */
  async read() {
    if (this.#queue.length > 0) return this.#handed(this.#queue.shift());
    if (!this.done) return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
    return undefined;
  }

  /** Nobody reads on. */
  drop() {
    this.#dropped = true;
    this.#queue.length = 0;
    this.#error = undefined;
    this.cancel();
  }

  settle(error) {
    clearTimeout(this.#timer);
    const [first, ...others] = this.#readers.splice(0);
    if (error === undefined || this.#dropped) first?.resolve(undefined);
    else if (first === undefined) this.#error = error;
    else first.reject(error);
    for (const reader of others) reader.resolve(undefined);
  }

  /** Credit goes back in halves of the window: one message for each item would double the traffic. */
  #handed(item) {
    if (++this.#read * 2 >= this.#window) {
      this.link?.send({ type: "credit", id: this.id, count: this.#read });
      if (this.link !== null) this.#read = 0;
    }
    return item;
  }
}
