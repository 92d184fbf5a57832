// socket.io's own client in the chat of the demo: the rooms are those of the topic, whoever speaks by whatever protocol.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { connect } from "../generated/polywire.js";

const base = process.env.BASE;
const made = [];
let rooms = 0;
const room = () => `socketio-${process.pid}-${++rooms}`;

afterEach(() => made.splice(0).forEach((client) => client.close()));

/** A client that has joined, with what it hears as an async iterator. */
async function join(room, user, options = {}) {
  const socket = io(base, { forceNew: true, ...options });
  made.push(socket);
  const heard = [];
  const waiting = [];
  socket.on("message", (message) => {
    const next = waiting.shift();
    if (next) next(message);
    else heard.push(message);
  });
  assert.deepEqual(await socket.timeout(10_000).emitWithAck("join", { room, user }), {});
  return {
    socket,
    say: (text) => socket.timeout(10_000).emitWithAck("say", { text }),
    hear: () => (heard.length ? Promise.resolve(heard.shift()) : new Promise((resolve) => waiting.push(resolve))),
  };
}

/** Resolves once a socket has changed to a transport. */
function goesBy({ io: { engine } }, name) {
  return engine.transport.name === name || new Promise((resolve) => engine.once("upgrade", resolve));
}

const told = ({ user, text }) => `${user}: ${text}`;

for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
  test(`two socket.io clients talk, by ${transports.join(", then ")}`, async () => {
    const name = room();
    const alice = await join(name, "Alice", { transports });
    const bob = await join(name, "Bob", { transports });
    for (const { socket } of [alice, bob]) await goesBy(socket, transports.at(-1));
    const { position } = await alice.say("hello ☃ <b>");
    assert.match(position, /:/);
    const message = await bob.hear();
    assert.equal(told(message), "Alice: hello ☃ <b>");
    assert.equal(typeof message.timestamp, "number");
    assert.equal(told(await alice.hear()), "Alice: hello ☃ <b>");
    await bob.say("hello yourself");
    assert.equal(told(await alice.hear()), "Bob: hello yourself");
    assert.equal(told(await bob.hear()), "Bob: hello yourself");
  });
}

test("a room is the same over polywire's own protocol, REST and socket.io", async () => {
  const name = room();
  const client = connect(base, { WebSocket });
  made.push(client);
  const events = client.subscribe("topics.Rooms", { room: name }, { metadata: { user: "Polly" } });
  const heard = async () => {
    for (;;) {
      const { value } = await events.next();
      if (value.data) return told(value.data);
    }
  };
  const sam = await join(name, "Sam");
  const first = heard();
  await sam.say("by socket.io");
  assert.equal(await first, "Sam: by socket.io");
  assert.equal(told(await sam.hear()), "Sam: by socket.io");
  await client.call("chat.ChatService/Say", { room: name, user: "Polly", text: "by WebSocket" });
  const answer = await fetch(`${base}/v1/rooms/${name}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: "Resa", text: "by REST" }),
  });
  assert.equal(answer.status, 201);
  for (const text of ["Polly: by WebSocket", "Resa: by REST"]) {
    assert.equal(await heard(), text);
    assert.equal(told(await sam.hear()), text);
  }
});

test("whoever joins gets what was said before, and of no other room", async () => {
  const name = room();
  const alice = await join(name, "Alice");
  await (await join(room(), "Eve")).say("elsewhere");
  for (const text of ["one", "two"]) await alice.say(text);
  const late = await join(name, "Late");
  assert.deepEqual([told(await late.hear()), told(await late.hear())], ["Alice: one", "Alice: two"]);
});

test("what is no room, no text or no object is refused, and the connection goes on", async () => {
  const socket = io(base, { forceNew: true });
  made.push(socket);
  const ask = (event, data) => socket.timeout(10_000).emitWithAck(event, data);
  assert.match((await ask("say", { text: "hello" })).error, /join a room/);
  for (const data of [null, 7, [], {}, { room: "../etc", user: "A" }, { room: "a", user: "" }, { room: "a", user: "x".repeat(41) }]) {
    assert.match((await ask("join", data)).error, /join takes/, JSON.stringify(data));
  }
  assert.deepEqual(await ask("join", { room: room(), user: "Alice" }), {});
  for (const data of [null, { text: 7 }, { text: "" }, { text: "x".repeat(2001) }]) {
    assert.match((await ask("say", data)).error, /say takes/, JSON.stringify(data));
  }
  assert.match((await ask("say", { text: "hello" })).position, /:/);
});
