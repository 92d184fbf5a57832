// One transport that is open or being opened, and the calls that are on it.

export class Link {
  calls = new Map();
  limits = {};
  #lastId = 0;

  /** events: {opened(), closed(what), leaving(message), room()}. */
  constructor(Transport, settings, events) {
    this.events = events;
    this.transport = new Transport(settings, {
      opened: (limits) => {
        this.limits = limits;
        events.opened();
      },
      message: (message) => this.#take(message),
      closed: (what) => events.closed(what),
    });
  }

  get isFull() {
    return this.calls.size >= (this.limits.calls ?? Infinity);
  }

  start(call) {
    call.id = ++this.#lastId;
    this.calls.set(call.id, call);
    try {
      const message = call.message();
      call.sentOver(this, this.limits.credit ?? 1);
      this.transport.send(message, call);
    } catch (error) {
      call.end(error); // an input that is no JSON
    }
  }

  send(message) {
    this.transport.send(message, this.calls.get(message.id));
  }

  room() {
    return this.transport.room();
  }

  remove(call) {
    if (this.calls.delete(call.id)) this.events.room();
  }

  close() {
    this.transport.close();
  }

  #take(message) {
    if (message.type === "going_away") this.events.leaving(message);
    else this.calls.get(message.id)?.take(message); // else it came after the call's end
  }
}
