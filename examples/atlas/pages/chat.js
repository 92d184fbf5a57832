import { connect } from "/polywire.js";
import { $, append, element, follow, guest, message, remembered } from "./demo.js";

remembered($("user"), "user", guest());
remembered($("room"), "room", "lobby");

const client = connect();
follow(client);
let visit = null;
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
      yield* client.subscribe(topic, { room: this.room }, { signal, metadata: { user: encodeURI(this.user) }, ...options });
    } catch (error) {
      if (!signal.aborted) note(`The room is lost: ${error.message}`);
    }
  }

  async listen() {
    const onGap = () => note("Some messages are missing here.");
    for (const one of (await client.call("topics.Rooms/Members", { room: this.room })).members ?? []) this.join(one);
    for await (const event of this.events("topics.Rooms", { last: 50, onGap })) {
      if (event.data) {
        this.typists.delete(event.data.user);
        append($("messages"), message(event.data, event.data.user === this.user));
      }
      if (event.joined) this.join(event.joined);
      if (event.left) this.members.delete(event.left.session);
      this.show();
    }
  }

  async watchTyping() {
    for await (const { data } of this.events("topics.Typing", {})) {
      if (!data || data.user === this.user) continue;
      this.typists.set(data.user, Date.now());
      this.show();
      setTimeout(() => this.show(), 3100);
    }
  }

  join(member) {
    this.members.set(member.session, nameOf(member));
  }

  show() {
    const names = [...this.members.values()].sort();
    $("members").replaceChildren(...names.map((name) => element("li", {}, name)));
    const typing = [...this.typists].filter(([, at]) => Date.now() - at < 3000).map(([name]) => name);
    $("typing").textContent = typing.length ? `${typing.join(", ")} is typing …` : "";
  }
}

function nameOf({ user }) {
  try {
    return decodeURI(user) || "somebody";
  } catch {
    return user;
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
