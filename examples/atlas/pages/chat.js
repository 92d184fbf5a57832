import { connect } from "/polywire.js";
import { $, append, element, follow, guest, message, remembered } from "./demo.js";

remembered($("user"), "user", guest());
remembered($("room"), "room", "lobby");

const client = connect();
follow(client);
let visit = null;

let wasOpen = false;
client.addEventListener("state", ({ detail: { state } }) => {
  if (state !== "open") return;
  // Who has come or gone while there was no connection is not told.
  if (wasOpen) visit.load().catch((error) => note(error.message));
  wasOpen = true;
});
let told = 0; // when others were told that we are typing

/** One stay in a room, until another begins. */
class Visit {
  constructor(room, user) {
    this.room = room;
    this.user = user;
    this.left = new AbortController();
    this.members = new Map();
    this.typists = new Map();
  }

  async *events(topic, options) {
    const { signal } = this.left;
    try {
      yield* client.subscribe(topic, { room: this.room }, { signal, metadata: { user: encodeURIComponent(this.user) }, ...options });
    } catch (error) {
      if (!signal.aborted) note(`The room is lost: ${error.message}`);
    }
  }

  async listen() {
    const onGap = () => note("Some messages are missing here.");
    await this.load();
    for await (const event of this.events("topics.Rooms", { last: 50, onGap })) {
      if (event.data) {
        this.typists.delete(event.data.user);
        append($("messages"), message(event.data, event.data.user === this.user));
      }
      if (event.joined || event.left) this.change(event);
      this.show();
    }
  }

  /** Who is here now; what changes while that is asked for comes after it. */
  async load() {
    const changes = (this.changes = []);
    const { members = [] } = await client.call("topics.Rooms/Members", { room: this.room }, { idempotent: true });
    if (changes !== this.changes) return;
    this.changes = null;
    this.members = new Map(members.map((one) => [one.session, one.user]));
    changes.forEach((event) => this.change(event));
    this.show();
  }

  change(event) {
    this.changes?.push(event);
    if (event.joined) this.members.set(event.joined.session, event.joined.user);
    if (event.left) this.members.delete(event.left.session);
  }

  async watchTyping() {
    for await (const { data } of this.events("topics.Typing", {})) {
      if (!data || data.user === this.user) continue;
      this.typists.set(data.user, Date.now());
      this.show();
      setTimeout(() => this.show(), 3100);
    }
  }

  show() {
    const names = [...this.members.values()].map((name) => name || "somebody").sort();
    $("members").replaceChildren(...names.map((name) => element("li", {}, name)));
    const typing = [...this.typists].filter(([, at]) => Date.now() - at < 3000).map(([name]) => name);
    $("typing").textContent = typing.length ? `${typing.join(", ")} is typing …` : "";
  }
}

function note(text) {
  append($("messages"), element("li", { class: "note" }, text));
}

function enter() {
  visit?.left.abort();
  visit = new Visit($("room").value, $("user").value);
  $("messages").replaceChildren();
  note(`You are ${visit.user} in ${visit.room}.`);
  for (const one of $("say").elements) one.disabled = false;
  visit.listen().catch((error) => note(error.message));
  visit.watchTyping();
}

$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  enter();
});

$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  told = 0;
  const { room, user } = visit;
  try {
    // With its key it is said once, however often it has to be sent.
    await client.call("chat.ChatService/Say", { room, user, text, key: crypto.randomUUID() }, { idempotent: true });
  } catch (error) {
    note(`Not said: ${error.message}`);
    $("text").value ||= text;
  }
});

$("text").addEventListener("input", () => {
  if (Date.now() - told < 2000) return;
  told = Date.now();
  client.call("chat.ChatService/Type", { room: visit.room, user: visit.user }).catch(() => {});
});

enter();
