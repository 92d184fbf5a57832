// Transports carry messages and know nothing of calls. Each has `static isAvailable(settings)` and
//   open(token)          leads to listener.opened(limits) or listener.closed({code, reason, error, isUnsuitable})
//   send(message, call)  what the client says, as in docs/websocket-protocol.md; call: whose message it is
//   room()               resolves once more of a stream may be sent
//   check()              the network may have changed: find out soon whether the other side is there
//   close()              silently: the listener is told nothing more
// and tells listener.message(message) what the server says, listener.closed(...) when all is lost.

import { PolywireError } from "./errors.js";

const SUBPROTOCOL = "polywire.v1.json";
const ABNORMAL = 1006;
/** Beats without a word from the server until it counts as gone. It is asked after the first. */
const MISSED_BEATS = 3;
/** In seconds. */
const LONGEST_BEAT = 3600;
/** Characters that wait to go out, after which streams of our own pause, and how long until that is looked at again, in ms. */
const MOST_QUEUED = 1024 * 1024;
const LOOK_AGAIN = 20;

/** Everything over one WebSocket. */
export class WebSocketTransport {
  #socket;
  #timer;
  #checking;
  #heard = false;
  #missed = 0;
  #mostBytes = Infinity;
  /** An error of the whole connection: a close follows. */
  #told;

  static isAvailable = (settings) => typeof settings.WebSocket === "function";

  constructor(settings, listener) {
    this.settings = settings;
    this.listener = listener;
  }

  open(token) {
    const url = new URL(this.settings.path, this.settings.url);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.#socket = new this.settings.WebSocket(url.href, SUBPROTOCOL));
    socket.onopen = () => this.send({ type: "hello", token });
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => this.#lose(event.code, event.reason);
    socket.onerror = () => {}; // a close follows, and says as little
    this.#timer = setTimeout(() => this.#lose(ABNORMAL, "no answer in time"), this.settings.connectTimeout);
  }

  send(message) {
    if (this.#socket.readyState !== 1) return; // its close is about to be told
    const text = JSON.stringify(message);
    const mayBeTooLong = text.length * 3 > this.#mostBytes;
    if (mayBeTooLong && new TextEncoder().encode(text).length > this.#mostBytes) this.#refuse(message);
    else this.#socket.send(text);
  }

  /** Until the server takes what is sent: its credit alone would have all of a stream queued here. */
  async room() {
    while (this.#socket.readyState === 1 && this.#socket.bufferedAmount > MOST_QUEUED) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
  }

  /** The server would close the connection for it, and with that end every other call. */
  #refuse({ type, id }) {
    if (type !== "call") this.send({ type: "cancel", id });
    const text = `a message may have ${this.#mostBytes} bytes`;
    this.listener.message({ type: "error", id, code: "RESOURCE_EXHAUSTED", reason: "TOO_LARGE", message: text });
  }

  check() {
    this.#heard = false;
    this.send({ type: "ping" });
    clearTimeout(this.#checking);
    this.#checking = setTimeout(() => this.#heard || this.#lose(ABNORMAL, "no answer"), this.settings.connectTimeout);
  }

  close() {
    this.#leave(1000);
  }

  #take(data) {
    this.#heard = true;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      this.#lose(1007, "a message is no JSON");
      return;
    }
    if (typeof message !== "object" || message === null) this.#lose(1007, "a message is no object");
    else if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "error" && message.id === undefined) this.#told = PolywireError.of(message);
    else if (message.type !== "pong") this.listener.message(message);
  }

  #welcome({ limits: told, heartbeat_s: heartbeat = 15 }) {
    const limits = told ?? {};
    if (!(heartbeat > 0 && heartbeat <= LONGEST_BEAT && (limits.calls ?? 1) >= 1)) {
      this.#lose(4400, "the welcome has a heartbeat or a limit that cannot be");
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setInterval(() => this.#beat(), heartbeat * 1000);
    this.#mostBytes = limits.message_bytes ?? Infinity;
    this.listener.opened(limits);
  }

  /** Counts beats and not time: a page in the background has its timers slowed down. */
  #beat() {
    this.#missed = this.#heard ? 0 : this.#missed + 1;
    this.#heard = false;
    if (this.#missed >= MISSED_BEATS) this.#lose(ABNORMAL, "the server is silent");
    else if (this.#missed > 0) this.send({ type: "ping" });
  }

  #lose(code, reason) {
    this.#leave(code === ABNORMAL ? 1000 : code);
    this.listener.closed({ code, reason, error: this.#told });
  }

  /** Not waiting for the socket's own close: where the network is gone, that takes minutes. */
  #leave(code) {
    clearInterval(this.#timer);
    clearTimeout(this.#checking);
    const socket = this.#socket;
    if (!socket?.onclose) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState < 2) socket.close(code === 1000 ? code : 4000);
  }
}
