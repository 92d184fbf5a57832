import { connect } from "/polywire.js";
import { $, follow, pause, remembered } from "./demo.js";

remembered($("name"), "document", "notes");

// Both ways at once: nothing but a WebSocket does that in a browser.
const client = connect(undefined, { transports: ["websocket"] });
follow(client);
let editing = null;
client.addEventListener("state", ({ detail: { state } }) => state === "leaving" && editing?.leave());

/** What is sent, in order, as the server takes it. */
class Outbox {
  #waiting = [];
  #wake = null;
  #ended = false;

  push(item) {
    this.#waiting.push(item);
    this.#wake?.();
  }

  end() {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#waiting.length) yield this.#waiting.shift();
      if (this.#ended) return;
      await new Promise((wake) => (this.#wake = wake));
    }
  }
}

/** Where two texts, as arrays of characters, differ: one change that makes the second of the first. */
function difference(old, now) {
  const most = Math.min(old.length, now.length);
  let begin = 0;
  while (begin < most && old[begin] === now[begin]) begin++;
  let end = 0;
  while (end < most - begin && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  return { position: begin, delete: old.length - begin - end, insert: now.slice(begin, now.length - end).join("") };
}

/** One document, as long as its stream lasts. */
class Editing {
  constructor(name) {
    this.name = name;
    this.closed = new AbortController();
    this.outbox = new Outbox();
    this.edits = 0;
    this.text = [];
  }

  async run() {
    const { signal } = this.closed;
    this.outbox.push({ document: this.name });
    for await (const change of client.stream("document.Documents/Edit", this.outbox, { signal })) {
      $("editors").textContent = change.editors === 1 ? "only you are here" : `${change.editors} are here`;
      $("text").disabled = false;
      // A change of a text without my last edits: another one comes.
      if (change.edits !== this.edits) continue;
      this.make(change);
      this.outbox.push({ made: change.number });
    }
  }

  make({ position, delete: count, insert }) {
    const area = $("text");
    const added = [...insert];
    const before = this.text.slice(0, position).join("").length;
    const gone = this.text.slice(position, position + count).join("").length;
    this.text.splice(position, count, ...added);
    if (!count && !added.length) return;
    const { selectionStart, selectionEnd, scrollTop } = area;
    const moved = (at) => (at <= before ? at : Math.max(before, at - gone) + (at >= before + gone ? insert.length : 0));
    area.value = this.text.join("");
    area.setSelectionRange(moved(selectionStart), moved(selectionEnd));
    area.scrollTop = scrollTop;
  }

  /** The server goes away, and waits for this stream: it ends with what has been written. */
  leave() {
    $("text").disabled = true;
    this.outbox.end();
  }

  edited() {
    const now = [...$("text").value];
    const change = difference(this.text, now);
    if (!change.delete && !change.insert) return;
    this.text = now;
    this.edits++;
    this.outbox.push(change);
  }
}

async function open() {
  editing?.closed.abort();
  const name = $("name").value;
  for (;;) {
    const mine = (editing = new Editing(name));
    $("text").value = "";
    $("text").disabled = true;
    try {
      await mine.run();
    } catch (error) {
      if (mine.closed.signal.aborted) return;
      $("editors").textContent = error.message;
      $("text").disabled = true;
    }
    // What was here is there still; it comes again with the next stream.
    await pause(1000);
    if (mine.closed.signal.aborted) return;
  }
}

$("open").addEventListener("submit", (event) => {
  event.preventDefault();
  open();
});
$("text").addEventListener("input", () => editing.edited());
open();
