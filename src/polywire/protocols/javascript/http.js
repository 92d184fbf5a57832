// Each call is a request of its own to /rpc/pkg.Service/Method; streams come as server-sent events.

import { PolywireError, errorOfStatus } from "./errors.js";
import { EventReader } from "./events.js";

const JSON_TYPE = "application/json";
const NDJSON = "application/x-ndjson";
const EVENTS = "text/event-stream";
/** Of a client's own stream: browsers send no request while its answer is read, so it is collected first. */
const MOST_COLLECTED = 4 * 1024 * 1024;

export class EventsTransport {
  #requests = new Map();
  #control = new AbortController();

  static isAvailable = (settings) => typeof settings.fetch === "function";

  constructor(settings, listener) {
    this.settings = settings;
    this.listener = listener;
  }

  /** There is no connection to open; a small request tells whether the server can be reached. */
  open() {
    const timer = setTimeout(() => this.lose("no answer in time"), this.settings.connectTimeout);
    const { signal } = this.#control;
    signal.addEventListener("abort", () => clearTimeout(timer));
    this.#fetch("health/live", { signal, headers: {} }).then(
      (answer) => {
        clearTimeout(timer);
        answer.body?.cancel().catch(() => {});
        if (signal.aborted) return;
        if (answer.status >= 502) this.lose(`the answer has the status ${answer.status}`);
        else this.listener.opened({});
      },
      (error) => this.lose(String(error)),
    );
  }

  send(message, call) {
    const request = this.#requests.get(message.id);
    if (message.type === "call") this.#start(new HttpCall(message, call));
    else if (message.type === "cancel") request?.control.abort();
    else if (message.type === "credit") request?.grant(message.count);
    else if (message.type === "next") this.#collect(request, message.message);
    else if (message.type === "end") request?.collected(request.items.join(""));
  }

  async room() {}

  check() {}

  close() {
    this.#control.abort();
    for (const request of this.#requests.values()) request.control.abort();
    this.#requests.clear();
  }

  /** isUnsuitable: something on the way does not let it work, and will not the next time. */
  lose(reason, isUnsuitable = false) {
    if (this.#control.signal.aborted) return;
    this.close();
    this.listener.closed({ code: 1006, reason, isUnsuitable });
  }

  /** POST to a method. Rejects with a PolywireError for an error that was answered, else with what fetch says. */
  async post(method, body, request, headers, signal = request.control.signal) {
    const { message } = request;
    const fields = { ...message.metadata, "content-type": JSON_TYPE, ...headers };
    const token = await this.settings.token();
    if (token !== undefined) fields.authorization = `Bearer ${token}`;
    if (message.timeout_s !== undefined) fields["request-timeout"] = message.timeout_s.toFixed(3);
    const answer = await this.#fetch(`rpc/${method}`, { method: "POST", body, headers: fields, signal });
    request.begun = true;
    if (answer.ok) return answer;
    const text = await answer.text();
    throw errorIn(text) ?? errorOfStatus(answer.status);
  }

  /** Items and the end of a stream, as messages; how is for the transport to say. */
  async follow(request, body, headers) {
    const { message, tell } = request;
    if (message.after !== undefined) headers["last-event-id"] = message.after;
    this.#expectAnswer(request);
    const answer = await this.post(message.method, body, request, { ...headers, accept: EVENTS });
    if (!request.call.subscription) clearTimeout(request.timer);
    if (answer.status === 204) return tell({ type: "end" });
    const reader = new EventReader();
    const text = new TextDecoder();
    for await (const part of parts(answer.body, request, this.settings.silence)) {
      for (const { event, data, id } of reader.push(text.decode(part, { stream: true }))) {
        if (event === "end") tell({ type: "end" });
        else if (event === "failure") tell({ type: "error", ...JSON.parse(data).error });
        else {
          await request.room();
          tell({ type: "next", message: JSON.parse(data), position: id });
        }
      }
    }
    tell({ type: "lost" }); // unless its end was told: then nobody listens
  }

  /** A topic greets at once; of other streams at least a head comes with the first heartbeat. */
  #expectAnswer(request) {
    const { greetingTimeout, silence } = this.settings;
    if (request.call.subscription) {
      request.expect(() => this.lose("events are held back on the way", true), greetingTimeout);
    } else if (request.call.resumable) {
      request.expect(() => this.lose("the server is silent"), silence);
    }
  }

  #fetch(path, options) {
    return this.settings.fetch(new URL(path, this.settings.url).href, { ...options, credentials: "same-origin" });
  }

  #start(request) {
    this.#requests.set(request.id, request);
    request.tell = (message) => {
      clearTimeout(request.timer);
      if (message.type === "next") request.credit--;
      else if (this.#requests.get(request.id) === request) this.#requests.delete(request.id);
      else return;
      if (!request.control.signal.aborted) this.listener.message({ ...message, id: request.id });
    };
    this.#run(request).catch((error) => {
      if (request.control.signal.aborted) this.#requests.delete(request.id);
      else if (error instanceof PolywireError) request.tell(asMessage(error));
      else if (request.begun) request.tell({ type: "lost" });
      else this.lose(String(error));
    });
  }

  async #run(request) {
    const { message, call } = request;
    const body = call.feeds ? await request.body : JSON.stringify(message.input);
    const headers = call.feeds ? { "content-type": NDJSON } : {};
    if (message.credit !== undefined) return this.follow(request, body, headers);
    const answer = await this.post(message.method, body, request, headers);
    const text = await answer.text();
    request.tell({ type: "result", message: text === "" ? undefined : JSON.parse(text) });
  }

  #collect(request, item) {
    if (request === undefined) return;
    const line = `${JSON.stringify(item)}\n`;
    request.items.push(line);
    request.size += line.length;
    if (request.size <= MOST_COLLECTED) {
      this.listener.message({ type: "credit", id: request.id, count: 1 });
      return;
    }
    const text = "without a WebSocket a stream to the server is collected, and this one is too long for that";
    request.tell(asMessage(new PolywireError("RESOURCE_EXHAUSTED", text, { reason: "TOO_LARGE" })));
  }
}

/** A call on its way over HTTP. */
class HttpCall {
  control = new AbortController();
  /** Whether an answer has begun to come: from then on what fails is this request alone. */
  begun = false;
  items = [];
  size = 0;
  #wake = () => {};

  constructor(message, call) {
    this.message = message;
    this.call = call;
    this.id = message.id;
    this.credit = message.credit;
    this.body = new Promise((resolve) => (this.collected = resolve));
    this.control.signal.addEventListener("abort", () => {
      clearTimeout(this.timer);
      this.#wake();
    });
  }

  grant(count) {
    this.credit += count;
    this.#wake();
  }

  /** That long, or until the call is over. */
  pause(ms) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.timer = setTimeout(resolve, ms);
    });
  }

  /** Call back unless something is told in time. */
  expect(late, ms) {
    this.timer = setTimeout(late, ms);
  }

  /** Until the caller takes more, or the call is over. */
  async room() {
    while (this.credit <= 0 && !this.control.signal.aborted) await new Promise((resolve) => (this.#wake = resolve));
  }
}

/** The parts of a body as they come. Of a stream that can be resumed, silence for too long is an end, too. */
async function* parts(body, request, silence) {
  const reader = body.getReader();
  let timer;
  try {
    for (;;) {
      if (request.call.resumable) timer = setTimeout(() => reader.cancel().catch(() => {}), silence);
      const { value, done } = await reader.read();
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}

function errorIn(text) {
  try {
    const { error } = JSON.parse(text);
    return error?.code === undefined ? undefined : PolywireError.of(error);
  } catch {
    return undefined; // a proxy's page
  }
}

const asMessage = ({ code, message, reason, details, requestId }) =>
  ({ type: "error", code, message, reason, details, request_id: requestId });
