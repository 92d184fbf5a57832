// The connection as a state machine: which transport is in use, when to try again, and which calls wait for that.

import { Backoff } from "./backoff.js";
import { PolywireError } from "./errors.js";
import { Link } from "./link.js";

/** state -> what happens -> the next state. What is not listed does not matter in a state. */
export const STATES = {
  connecting: { opened: "open", lost: "waiting", next: "connecting", refused: "closed", close: "closed" },
  open: { lost: "waiting", next: "connecting", leaving: "leaving", idle: "idle", refused: "closed", close: "closed" },
  // The server goes away: streams go on until another connection is open, which is made when it is due and not before.
  leaving: { due: "connecting", refused: "closed", close: "closed" },
  waiting: { due: "connecting", close: "closed" },
  // The server has closed what was of no use, until there is a call.
  idle: { due: "connecting", close: "closed" },
  closed: {},
};

/** Close codes after which to stay away: what was sent would be refused again (docs/websocket.md). */
export const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 1009, 1010, 4400, 4401, 4403, 4404, 4406, 4409]);
/** Nothing was under way. */
const IDLE = 4000;
/**
 * The token is refused, and nothing that came after it was looked at. Worth another try where the token is asked for each
 * time, but not twice in a row.
 */
const TOKEN_REFUSED = 4401;
const CODES = { [TOKEN_REFUSED]: "UNAUTHENTICATED", 4403: "PERMISSION_DENIED" };
/** Failures in a row after which another transport is tried in place of the best that has worked. */
const PATIENCE = 3;

export class Connection {
  state = "waiting";
  link = null;
  /** Connections that the server is leaving, with the calls that cannot move. */
  #old = new Set();
  #waiting = [];
  #transports;
  #choice = 0;
  /** Places of transports, the best being the first. */
  #worked = new Set();
  #failures = 0;
  #refusals = 0;
  #backoff;
  #timer;
  #stable;

  /** onState: told {state, transport, error} of each change. */
  constructor(settings, onState) {
    this.settings = settings;
    this.onState = onState;
    this.#transports = settings.transports.filter((Transport) => Transport.isAvailable(settings));
    if (this.#transports.length === 0) throw new TypeError("none of the transports can be used here");
    this.#backoff = new Backoff(settings.backoff);
    this.#on("due");
  }

  get transport() {
    return this.settings.nameOf(this.#transports[this.#choice]);
  }

  /** Take a call on, as soon as there is a connection with room for it. */
  start(call) {
    const { maxWaiting } = this.settings;
    if (this.#waiting.length >= maxWaiting) this.#waiting = this.#waiting.filter(({ done }) => !done);
    if (this.state === "closed") call.end(this.error);
    else if (this.#waiting.length < maxWaiting) this.#waiting.push(call);
    else call.end(new PolywireError("RESOURCE_EXHAUSTED", "too many calls wait to be sent", { reason: "QUEUE_FULL" }));
    this.#flush();
  }

  /** Take a call on once more: it has been waited for the longest. */
  again(call) {
    if (this.state === "closed") call.end(this.error);
    else if (!call.done) this.#waiting.unshift(call);
    this.#flush();
  }

  /** Something tells that the network may be there again, or another one. */
  wake() {
    if (this.state === "waiting") this.#on("due");
    else if (this.state === "open") this.link.transport.check();
  }

  close() {
    this.#on("close", new PolywireError("CANCELLED", "the client was closed", { reason: "CLIENT_CLOSED" }));
  }

  #on(event, error, delay) {
    const state = STATES[this.state][event];
    if (state === undefined) return;
    clearTimeout(this.#timer);
    this.state = state;
    this.error = error;
    this.onState({ state, transport: this.transport, error: event === "close" ? undefined : error });
    if (this.state === state) this.#enter[state](delay); // who was told may have closed it
  }

  #enter = {
    connecting: () => this.#connect(),
    open: () => {
      clearTimeout(this.#stable);
      this.#stable = setTimeout(() => this.#settled(), this.settings.stable);
      this.#failures = 0;
      this.#worked.add(this.#choice);
      this.#flush();
    },
    // One that sends everybody away at once would be asked again and again.
    leaving: (delay) => this.#later(Math.max(delay, this.#backoff.next())),
    idle: () => {},
    waiting: () => this.#later(this.#backoff.next()),
    closed: () => {
      clearTimeout(this.#stable);
      const links = this.link === null ? [...this.#old] : [this.link, ...this.#old];
      for (const link of links) link.close();
      const calls = links.flatMap((link) => [...link.calls.values()]);
      for (const call of [...calls, ...this.#waiting.splice(0)]) call.end(this.error);
    },
  };

  #settled() {
    this.#backoff.reset();
    this.#refusals = 0;
  }

  #later(ms) {
    this.#timer = setTimeout(() => this.#on("due"), ms);
  }

  async #connect() {
    const old = this.link;
    if (old !== null) this.#old.add(old);
    const link = new Link(this.#transports[this.#choice], this.settings, {
      opened: () => {
        if (this.link !== link) return;
        this.#moveFrom(this.#old);
        this.#on("opened");
      },
      closed: (what) => this.#lost(link, what),
      leaving: ({ reconnect_s: seconds = 0 }) => {
        // It is for the server to say, within what is our own longest pause.
        const span = Math.min(Math.max(0, Number(seconds) || 0) * 1000, this.#backoff.maxMs);
        if (this.link === link) this.#on("leaving", undefined, Math.random() * span);
      },
      room: () => this.#flush(),
    });
    this.link = link;
    try {
      const token = await this.settings.token();
      if (this.link === link && this.state === "connecting") link.transport.open(token);
    } catch (error) {
      this.#lost(link, { code: 1006, reason: String(error) });
    }
  }

  /** Calls that can be resumed go to the new connection; what is left of the old ones ends with its calls. */
  #moveFrom(links) {
    for (const link of links) {
      for (const call of [...link.calls.values()].reverse()) {
        if (!call.resumable) continue;
        link.send({ type: "cancel", id: call.id });
        call.lost();
      }
      this.#tidy(link);
    }
  }

  #tidy(link) {
    if (link === this.link || link.calls.size > 0) return;
    if (this.#old.delete(link)) link.close();
  }

  #lost(link, { code, reason, error, isUnsuitable = false }) {
    const current = this.link === link;
    if (current) this.link = null;
    this.#old.delete(link);
    if (current) {
      clearTimeout(this.#stable);
      const text = reason || `the connection was closed with ${code}`;
      error ??= new PolywireError(CODES[code] ?? "UNAVAILABLE", text, { reason: `CLOSED_${code}` });
      this.#on(this.#judge(link, code, isUnsuitable), error);
    }
    for (const call of [...link.calls.values()].reverse()) call.lost(code === TOKEN_REFUSED);
  }

  /** What it means that the connection is gone: "lost", "next" (another transport's turn) or "refused" (for good). */
  #judge(link, code, isUnsuitable) {
    if (code === TOKEN_REFUSED && this.settings.asksToken && this.#refusals++ === 0) return "lost";
    if (FINAL_CODES.has(code)) return "refused";
    if (code === IDLE && this.#waiting.length === 0 && link.calls.size === 0) return "idle";
    if (isUnsuitable) this.#worked.delete(this.#choice);
    const best = Math.min(...this.#worked, this.#transports.length);
    if (this.state !== "connecting" && !isUnsuitable) {
      // It may have taken the place of a better one only because that server was about to go.
      if (best < this.#choice) this.#choice = best;
      return "lost";
    }
    this.#failures++;
    if (this.#choice === best && this.#failures < PATIENCE) return "lost";
    this.#failures = 0;
    this.#choice = (this.#choice + 1) % this.#transports.length;
    return this.#choice === 0 ? "lost" : "next";
  }

  #flush() {
    if (this.state === "idle" && this.#waiting.length > 0) this.#on("due");
    while (this.state === "open" && this.#waiting.length > 0 && !this.link.isFull) {
      const call = this.#waiting.shift();
      if (!call.done) this.link.start(call);
    }
    for (const link of this.#old) this.#tidy(link);
  }
}
