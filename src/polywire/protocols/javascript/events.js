// Server-sent events out of text as it comes (WHATWG HTML §9.2.6).

const MOST_CHARACTERS = 16 * 1024 * 1024;

/** Takes text as it comes, however it is cut. */
export class EventReader {
  /** Of a line that is not whole, as it came: put together at its end, or each part would cost as much as all before it. */
  #parts = [];
  #data = [];
  /** Characters of the event that is not whole. */
  #size = 0;
  #event = "";
  #id;

  /** The events that are complete, as {event, data, id}. Throws RangeError for one that is too long. */
  *push(text) {
    if (text === "") return;
    const isCut = this.#parts.at(-1)?.endsWith("\r");
    this.#parts.push(text);
    this.#size += text.length;
    if (isCut || /[\r\n]/.test(text)) yield* this.#lines(this.#parts.splice(0).join(""));
    if (this.#size > MOST_CHARACTERS) throw new RangeError("an event is too long");
  }

  *#lines(text) {
    let rest = text;
    for (;;) {
      const at = rest.search(/\r\n|\n|\r(?!$)/);
      if (at < 0) break;
      const line = rest.slice(0, at);
      const event = this.#line(line);
      rest = rest.slice(at + (rest.startsWith("\r\n", at) ? 2 : 1));
      if (line === "") this.#size = rest.length;
      if (event !== undefined) yield event;
    }
    if (rest !== "") this.#parts.push(rest);
  }

  #line(line) {
    if (line === "") {
      const event = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
      const isEmpty = this.#data.length === 0;
      this.#data = [];
      this.#event = "";
      this.#id = undefined;
      return isEmpty ? undefined : event;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id") this.#id = value;
    return undefined;
  }
}
