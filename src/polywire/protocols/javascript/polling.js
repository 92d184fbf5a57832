// Where events are held back on the way: topics are asked for what is new, again and again; the rest is as over events.

import { EventsTransport } from "./http.js";

const MOST_EVENTS = 100;
/** What the server gives at a time. */
const MOST_OF_PAGE = 1000;
/** How much longer than the server is asked to wait an answer may take, in ms. */
const GRACE = 10_000;
/** Where there is no news and the server does not wait for any, as a cache on the way would not, in ms. */
const PAUSE = 1000;

export class PollingTransport extends EventsTransport {
  async follow(request, body, headers) {
    if (!request.call.subscription) return super.follow(request, body, headers);
    const method = request.message.method.replace(/Subscribe$/, "History");
    const { last = 0, ...input } = request.message.input;
    let after = request.message.after ?? input.after;
    if (after === undefined) {
      after = await this.#tell(request, await this.#latest(method, input, last, request));
    }
    while (!request.control.signal.aborted) {
      await request.room();
      const limit = Math.min(request.credit, MOST_EVENTS);
      const wait = this.settings.pollingWait / 1000;
      const asked = performance.now();
      const page = await this.#ask(method, { ...input, after, limit, wait_s: wait }, request);
      const isEarly = page.position === after && performance.now() - asked < this.settings.pollingWait / 2;
      after = await this.#tell(request, page);
      if (isEarly) await request.pause(PAUSE);
    }
  }

  /** The last of the history, whose end is where "from now on" begins. It is read from its start. */
  async #latest(method, input, last, request) {
    const events = [];
    let page = {};
    do {
      page = await this.#ask(method, { ...input, after: page.position, limit: MOST_OF_PAGE }, request);
      events.push(...page.events);
      events.splice(0, events.length - last);
    } while (page.events.length === MOST_OF_PAGE);
    return { events, position: page.position };
  }

  /** Returns the position to go on from. */
  async #tell(request, { events, position, gap }) {
    // The last is as a greeting: nothing before it is missing.
    for (const message of [...(gap ? [{ gap }] : []), ...events, { position }]) {
      await request.room();
      request.tell({ type: "next", message, position: message.position });
    }
    return position;
  }

  async #ask(method, input, request) {
    const asked = new AbortController();
    const stop = () => asked.abort();
    const timer = setTimeout(stop, this.settings.pollingWait + GRACE);
    request.control.signal.addEventListener("abort", stop);
    try {
      return await (await this.post(method, JSON.stringify(input), request, {}, asked.signal)).json();
    } finally {
      clearTimeout(timer);
      request.control.signal.removeEventListener("abort", stop);
    }
  }
}
