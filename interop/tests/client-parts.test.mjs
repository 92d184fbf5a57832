// Parts of the client by themselves: the back-off, and events however they are cut.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../generated/client/backoff.js";
import { STATES } from "../generated/client/connection.js";
import { EventReader } from "../generated/client/events.js";

test("each wait is anywhere below a bound, which doubles up to a most", ({ mock }) => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 1000 });
  const random = mock.method(Math, "random", () => 1);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => backoff.next()), [100, 200, 400, 800, 1000, 1000]);
  backoff.reset();
  random.mock.mockImplementation(() => 0.25);
  assert.deepEqual([backoff.next(), backoff.next()], [25, 50]);
  for (let i = 0; i < 2000; i++) assert.ok(backoff.next() <= 1000);
});

test("every state that is gone to is there, and the client can be closed in each", () => {
  for (const [state, events] of Object.entries(STATES)) {
    for (const next of Object.values(events)) assert.ok(next in STATES, next);
    assert.equal(events.close, state === "closed" ? undefined : "closed");
  }
});

const TEXT = ": hello\r\n\r\nid: e:1\r\ndata: {\"a\":1}\r\n\r\nevent: x\rdata:b\rdata:  c\r\rretry: 5\n\nevent: lost\n\ndata\nid: 3\n\ndata: ä\n\ndata: cut";
const EVENTS = [
  { event: "message", data: '{"a":1}', id: "e:1" },
  { event: "x", data: "b\n c", id: undefined },
  { event: "message", data: "", id: "3" },
  { event: "message", data: "ä", id: undefined },
];

test("events are the same however the text is cut", () => {
  for (let size = 1; size <= TEXT.length; size++) {
    const reader = new EventReader();
    const found = [];
    for (let at = 0; at < TEXT.length; at += size) found.push(...reader.push(TEXT.slice(at, at + size)));
    assert.deepEqual(found, EVENTS, `in pieces of ${size}`);
  }
});

for (const [name, part] of [["line", "x".repeat(1024 * 1024)], ["event", `data: ${"x".repeat(1024 * 1024)}\n`]]) test(`an ${name} without end is refused`, () => {
  const reader = new EventReader();
  assert.throws(() => { for (let i = 0; i < 100; i++) [...reader.push(part)]; }, RangeError);
});
