// Topics through the client at /polywire.js: followed, resumed, polled for; nothing is lost and nothing comes twice.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { WebSocket } from "ws";
import { until } from "../client/fake.mjs";
import { FaultyProxy, HttpProxy, Server } from "../client/server.mjs";
import { connect } from "../generated/polywire.js";

const server = new Server();
const cleanups = [];
const later = (end) => cleanups.push(end);
let names = 0;
before(() => server.start());
after(() => server.stop());
afterEach(async () => {
  for (const end of cleanups.splice(0).reverse()) await end();
});

function start(url, options) {
  const client = connect(url, { WebSocket, backoff: { firstMs: 5, maxMs: 50 }, pollingWait: 1000, ...options });
  later(() => client.close());
  return client;
}
const aName = () => `n${++names}`;
const publish = (client, topic, name, i) =>
  client.call(`topics.${topic}/Publish`, { name, data: { i }, dedupe_id: `${name}-${i}` }, { idempotent: true });
async function publishAll(client, topic, name, from, to) {
  for (let i = from; i < to; i++) await publish(client, topic, name, i);
}
/** The numbers of a subscription's events, up to one. */
async function numbers(events, last) {
  const found = [];
  for await (const { data } of events) {
    if (data) found.push(data.i);
    if (data?.i >= last) break;
  }
  return found;
}
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

for (const name of ["websocket", "sse", "polling"]) {
  const transports = [name];

  test(`${name}: a topic from now on, the last of it, and after a position`, async () => {
    const topic = aName();
    const client = start(server.url, { transports });
    await publishAll(client, "Kept", topic, 0, 3);
    const live = client.subscribe("topics.Kept", { name: topic });
    const last = client.subscribe("topics.Kept", { name: topic }, { last: 2 });
    const first = last.next();
    assert.equal((await first).value.data.i, 1);
    // Where `live` begins is for the server to say, and it has once it tells a position.
    const next = live.next();
    let told = false;
    next.then(() => (told = true));
    for (let i = 3; !told; i++) await publish(client, "Kept", topic, i);
    const { value } = await next;
    assert.ok(value.data.i >= 3 && value.topic === `kept.${topic}`);
    assert.equal(value.position, live.position);

    await publishAll(client, "Kept", topic, 1000, 1003);
    assert.deepEqual((await numbers(live, 1002)).slice(-3), [1000, 1001, 1002]);
    const all = client.subscribe("topics.Kept", { name: topic }, { last: 100, window: 4 });
    assert.deepEqual((await numbers(all, 1002)).slice(0, 4), [0, 1, 2, 3]);
    const resumed = client.subscribe("topics.Kept", { name: topic }, { after: value.position });
    assert.deepEqual((await numbers(resumed, 1002)).slice(-3), [1000, 1001, 1002]);
  });

  test(`${name}: what is gone is a gap, told or as an event`, async () => {
    const topic = aName();
    const client = start(server.url, { transports });
    const { position } = await publish(client, "Briefly", topic, 0);
    await publishAll(client, "Briefly", topic, 1, 20);
    const gaps = [];
    const onGap = (gap) => gaps.push(gap.reason);
    const told = client.subscribe("topics.Briefly", { name: topic }, { after: position, onGap });
    assert.deepEqual(await numbers(told, 19), range(15, 20));
    assert.deepEqual(gaps, ["HISTORY_GONE"]);
    const events = client.subscribe("topics.Briefly", { name: topic }, { after: "another:7" });
    assert.equal((await events.next()).value.gap.reason, "EPOCH_CHANGED");
    assert.equal((await events.next()).value.data.i, 15);
    await events.return();
  });

  test(`${name}: cut at random in the middle of frames: each event once and in order`, async () => {
    const topic = aName();
    const proxy = await new FaultyProxy().start(server.port);
    later(() => proxy.stop());
    proxy.cutAfter = () => 500 + Math.floor(Math.random() * 4000);
    const publisher = start(server.url);
    const client = start(proxy.url, { transports });
    const { position } = await publish(publisher, "Kept", topic, -1);
    const gaps = [];
    const onGap = (gap) => gaps.push(gap);
    const subscriptions = range(0, 4).map(() => client.subscribe("topics.Kept", { name: topic }, { after: position, onGap, window: 16 }));
    const found = subscriptions.map((subscription) => numbers(subscription, 299));
    await publishAll(publisher, "Kept", topic, 0, 300);
    for (const one of await Promise.all(found)) assert.deepEqual(one, range(0, 300));
    assert.deepEqual(gaps, []);
    assert.ok(proxy.connections > 4, `only ${proxy.connections} connections`);
  });

  test(`${name}: a server that is killed has lost what it kept in memory, and that is told`, async () => {
    const topic = aName();
    const own = await new Server().start();
    later(() => own.stop("SIGKILL")); // a drain waits for idle connections that fetch keeps
    const client = start(own.url, { transports });
    const gaps = [];
    const onGap = ({ reason }) => gaps.push(reason);
    const { position } = await publish(client, "Kept", topic, 0);
    const found = numbers(client.subscribe("topics.Kept", { name: topic }, { after: position, onGap }), 29);
    await publishAll(client, "Kept", topic, 1, 10);
    await own.stop("SIGKILL");
    await own.start();
    await publishAll(client, "Kept", topic, 20, 30);
    assert.deepEqual((await found).slice(-10), range(20, 30));
    assert.deepEqual(gaps, ["EPOCH_CHANGED"]);
  });
}

test("server-sent events are held back by a proxy: topics are polled for", async () => {
  const proxy = await new HttpProxy().start(server.port);
  later(() => proxy.stop());
  proxy.holds = true;
  const topic = aName();
  const client = start(proxy.url, { greetingTimeout: 200 });
  const { position } = await publish(client, "Kept", topic, 0);
  assert.equal(client.transport, "sse");
  const events = client.subscribe("topics.Kept", { name: topic }, { after: position });
  const found = numbers(events, 9);
  await until(client, "open");
  await publishAll(client, "Kept", topic, 1, 10);
  assert.deepEqual(await found, range(1, 10));
  assert.equal(client.transport, "polling");
  assert.ok(proxy.seen.includes("POST /rpc/topics.Kept/History"));
});

test("a pattern has no positions: what may be missing after a lost connection is told", async () => {
  const proxy = await new FaultyProxy().start(server.port);
  later(() => proxy.stop());
  const client = start(proxy.url, { transports: ["websocket"] });
  const gaps = [];
  const events = client.subscribe("topics.Kept", { name: "*" }, { onGap: ({ reason }) => gaps.push(reason) });
  const topic = aName();
  const reading = numbers(events, 1001);
  let found;
  reading.then((all) => (found = all));
  // It has begun once one of these comes.
  await publishAll(client, "Kept", topic, 0, 20);
  proxy.cut();
  await until(client, "open");
  for (let i = 1000; found === undefined; i++) await publish(client, "Kept", topic, i);
  assert.deepEqual(gaps, ["NO_POSITION"]);
});

test("who comes and who leaves", async () => {
  const topic = aName();
  const events = start(server.url).subscribe("topics.Seen", { name: topic });
  const first = (await events.next()).value.joined;
  const other = start(server.url);
  const another = other.subscribe("topics.Seen", { name: topic });
  const second = (await events.next()).value.joined;
  assert.notEqual(second.session, first.session);
  await another.return();
  assert.equal((await events.next()).value.left.session, second.session);
});
