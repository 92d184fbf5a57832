// What an application imports.

import { UnaryCall } from "./call.js";
import { Connection } from "./connection.js";
import { PolywireError } from "./errors.js";
import { EventsTransport } from "./http.js";
import { PollingTransport } from "./polling.js";
import { StreamCall } from "./stream_call.js";
import { WebSocketTransport } from "./websocket.js";

const TRANSPORTS = { websocket: WebSocketTransport, sse: EventsTransport, polling: PollingTransport };

/** Times in milliseconds. What each is for is told in polywire.d.ts. */
const DEFAULTS = {
  path: "ws",
  transports: Object.keys(TRANSPORTS),
  token: undefined,
  window: 64,
  maxWaiting: 1000,
  connectTimeout: 5000,
  greetingTimeout: 5000,
  pollingWait: 25000,
  silence: 45000,
  stable: 10000,
  backoff: { firstMs: 500, maxMs: 30000 },
};

/** Connect to the server at a URL; it goes on trying until `close()`. */
export const connect = (url, options) => new Client(url, options);

/** Tells its `state` by events of that name, whose `detail` is {state, transport, error}. */
export class Client extends EventTarget {
  #connection;
  #stopWatching;

  constructor(url = globalThis.location?.origin, options = {}) {
    super();
    const onState = (detail) => {
      if (detail.state === "closed") this.#stopWatching?.();
      this.dispatchEvent(new CustomEvent("state", { detail }));
    };
    this.#connection = new Connection(settingsOf(url, options), onState);
    this.#stopWatching = watchNetwork(() => this.#connection.wake());
  }

  /** "connecting", "open", "leaving", "waiting", "idle" or "closed". */
  get state() {
    return this.#connection.state;
  }

  /** "websocket", "sse" or "polling": what is in use or being tried. */
  get transport() {
    return this.#connection.transport;
  }

  /** A method with one answer. An async iterable as input is a client stream. */
  call(method, input, options = {}) {
    const call = new UnaryCall(this.#connection, method, input, options);
    call.start();
    return call.answer;
  }

  /** A method with many answers: iterate over what comes back. An async iterable as input makes it go both ways. */
  stream(method, input, options = {}) {
    return new Stream(new StreamCall(this.#connection, method, input, options));
  }

  /** Follow a topic, from where `after` says, or from now on. */
  subscribe(topic, parameters = {}, { last, onGap, ...options } = {}) {
    const input = last === undefined ? parameters : { ...parameters, last };
    const call = new StreamCall(this.#connection, `${topic}/Subscribe`, input, {
      ...options,
      subscription: true,
      idempotent: true,
    });
    return new Subscription(call, onGap);
  }

  /** End every call with CANCELLED, and the connection. Nothing is left that would keep a process running. */
  close() {
    this.#connection.close();
  }
}

/** An async iterator over the items of a stream; leaving the loop cancels the call. */
class Stream {
  #call;
  #position;

  constructor(call) {
    this.#call = call;
    this.#position = call.position;
    call.start();
  }

  /** Of the last item that was handed out; to go on from it in another life, give it as `after`. */
  get position() {
    return this.#position;
  }

  async next() {
    const item = await this.#call.read();
    if (item === undefined) return { done: true, value: undefined };
    this.#position = item.position ?? this.#position;
    return { done: false, value: item.value };
  }

  async return(value) {
    this.#call.drop();
    return { done: true, value };
  }

  async throw(error) {
    this.#call.drop();
    throw error;
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** The events of a topic, without the greeting that each subscription begins with. */
class Subscription extends Stream {
  #onGap;

  constructor(call, onGap) {
    super(call);
    this.#onGap = onGap;
  }

  async next() {
    for (;;) {
      const item = await super.next();
      if (item.done) return item;
      const { data, gap, joined, left } = item.value;
      if (gap && this.#onGap) this.#onGap(gap);
      else if (gap ?? data ?? joined ?? left) return item;
    }
  }
}

function settingsOf(url, options) {
  const { WebSocket, fetch } = globalThis;
  const settings = { WebSocket, fetch: fetch?.bind(globalThis), ...DEFAULTS, ...options };
  const base = new URL(url, globalThis.location?.href);
  if (!/^https?:$/.test(base.protocol)) throw new TypeError(`${base.protocol} is no scheme for a server; use https:`);
  settings.url = new URL("./", base).href;
  settings.backoff = { ...DEFAULTS.backoff, ...options.backoff };
  settings.transports = settings.transports.map((name) => {
    if (name in TRANSPORTS) return TRANSPORTS[name];
    throw new TypeError(`${name} is no transport; there are ${Object.keys(TRANSPORTS).join(", ")}`);
  });
  const { token } = settings;
  settings.asksToken = typeof token === "function";
  settings.token = settings.asksToken ? token : () => token;
  settings.nameOf = (Transport) => Object.keys(TRANSPORTS).find((name) => TRANSPORTS[name] === Transport);
  return settings;
}

/** Calls back when the machine is online again or the page is looked at again. Returns what ends that. */
function watchNetwork(wake) {
  const { document } = globalThis;
  const seen = () => document.visibilityState === "visible" && wake();
  globalThis.addEventListener?.("online", wake);
  document?.addEventListener("visibilitychange", seen);
  return () => {
    globalThis.removeEventListener?.("online", wake);
    document?.removeEventListener("visibilitychange", seen);
  };
}

export { PolywireError };
