// Where events are held back on the way: topics are asked for what is new, again and again; the rest is as over events.

import { EventsTransport } from "./http.js";

const MOST_EVENTS = 100;
/** How much longer than the server is asked to wait an answer may take, in ms. */
const GRACE = 10_000;

export class PollingTransport extends EventsTransport {
  async follow(request, body, headers) {
    if (!request.call.subscription) return super.follow(request, body, headers);
    const method = request.message.method.replace(/Subscribe$/, "History");
    const { last = 0, ...input } = request.message.input;
    let after = request.message.after ?? input.after;
    if (after === undefined) {
      // Without a position it tells the last of what there is, of which one is enough to know where that ends.
      after = this.#tell(request, await this.#ask(method, { ...input, limit: last || 1 }, request), last > 0);
    }
    while (!request.control.signal.aborted) {
      await request.room();
      const limit = Math.min(request.credit, MOST_EVENTS);
      const wait = this.settings.pollingWait / 1000;
      after = this.#tell(request, await this.#ask(method, { ...input, after, limit, wait_s: wait }, request), true);
    }
  }

  /** Returns the position to go on from. */
  #tell(request, { events, position, gap }, isWanted) {
    if (gap) request.tell({ type: "next", message: { gap } });
    if (isWanted) for (const event of events) request.tell({ type: "next", message: event, position: event.position });
    request.tell({ type: "next", message: { position }, position }); // as a greeting: nothing before it is missing
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
