// The client at /polywire.js against a polywire server, with everything between them that can fail.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, afterEach, before, test } from "node:test";
import { WebSocket } from "ws";
import { collect, failure, until } from "../client/fake.mjs";
import { FaultyProxy, HttpProxy, Server } from "../client/server.mjs";
import { connect } from "../generated/polywire.js";

const server = new Server();
const cleanups = [];
const later = (end) => cleanups.push(end);
before(() => server.start());
after(() => server.stop());
afterEach(async () => {
  for (const end of cleanups.splice(0).reverse()) await end();
});

function start(url, options) {
  const client = connect(url, { WebSocket, backoff: { firstMs: 10, maxMs: 50 }, ...options });
  later(() => client.close());
  return client;
}
async function proxied(proxy, port = server.port) {
  await proxy.start(port);
  later(() => proxy.stop());
  return proxy;
}
async function* ticks(count) {
  for (let i = 0; i < count; i++) yield { i };
}
const numbers = (found) => found.map(({ i }) => i);
const range = (to) => Array.from({ length: to }, (_, i) => i);

for (const name of ["websocket", "sse", "polling"]) {
  test(`${name}: all four shapes, errors, time-outs and tokens`, async () => {
    const client = start(server.url, { transports: [name], token: () => "secret" });
    assert.deepEqual(await client.call("ticks.TickService/Get", { i: 7 }), { i: 7 });
    const { code, reason, message, requestId } = await failure(client.call("ticks.TickService/Get", { i: -1 }));
    assert.deepEqual([code, reason, message], ["NOT_FOUND", "NO_TICK", "there is no -1"]);
    assert.ok(requestId);
    const invalid = await failure(client.call("ticks.TickService/Get", { i: "x" }));
    assert.deepEqual([invalid.code, invalid.details[0].field], ["INVALID_ARGUMENT", "i"]);
    assert.equal((await failure(client.call("ticks.TickService/Nothing"))).name, "PolywireError");
    assert.equal((await failure(client.call("ticks.TickService/Sleep", {}, { timeout: 50 }))).code, "DEADLINE_EXCEEDED");
    assert.equal(await client.call("ticks.TickService/Token"), "Bearer secret");
    assert.deepEqual(await client.call("ticks.TickService/Upload", ticks(200)), { count: 200, total: 19900 });
    assert.deepEqual(numbers(await collect(client.stream("ticks.TickService/Chat", ticks(5)))), [0, -1, -2, -3, -4]);
    const stream = client.stream("ticks.TickService/Count", { to: 500 }, { window: 8 });
    assert.deepEqual(numbers(await collect(stream)), range(500));
    assert.equal(stream.position, "499");
    assert.deepEqual(numbers(await collect(client.stream("ticks.TickService/Count", { to: 9 }, { after: "6" }))), [7, 8]);
    assert.equal(client.transport, name);
  });

  test(`${name}: the connection is cut at random in the middle of frames; every item comes once and in order`, async () => {
    const proxy = await proxied(new FaultyProxy());
    proxy.cutAfter = () => 300 + Math.floor(Math.random() * 3000);
    const client = start(proxy.url, { transports: [name], backoff: { firstMs: 2, maxMs: 10 } });
    const streams = [1, 2, 3].map(() => client.stream("ticks.TickService/Count", { to: 400 }, { idempotent: true, window: 20 }));
    for (const found of await Promise.all(streams.map(collect))) assert.deepEqual(numbers(found), range(400));
    assert.ok(proxy.connections > 5, `only ${proxy.connections} connections`);
  });

  test(`${name}: the server is killed and started again`, async () => {
    const own = await new Server().start();
    later(() => own.stop("SIGKILL")); // a drain waits for idle connections that fetch keeps
    const client = start(own.url, { transports: [name] });
    const stream = client.stream("ticks.TickService/Count", { to: 3000 });
    const found = [];
    for await (const { i } of stream) {
      found.push(i);
      if (i === 100) {
        await own.stop("SIGKILL");
        await own.start();
      }
    }
    assert.deepEqual(found, range(3000));
  });
}

test("the server drains and is started again: nobody notices", async () => {
  const own = await new Server().start();
  later(() => own.stop("SIGKILL")); // a drain waits for idle connections that fetch keeps
  const client = start(own.url);
  const states = [];
  client.addEventListener("state", ({ detail }) => states.push(detail.state));
  await until(client, "open");
  const stream = client.stream("ticks.TickService/Count", { to: 3000 });
  await stream.next();
  const reading = collect(stream);
  const leaving = until(client, "leaving");
  const stopped = own.stop();
  await leaving;
  await stopped;
  await own.start();
  assert.deepEqual(numbers(await reading), range(3000).slice(1));
  assert.equal(await client.call("ticks.TickService/Token"), "");
});

test("a proxy takes no WebSockets: the same over server-sent events", async () => {
  const proxy = await proxied(new HttpProxy());
  const client = start(proxy.url);
  assert.deepEqual(numbers(await collect(client.stream("ticks.TickService/Count", { to: 20 }))), range(20));
  assert.deepEqual(await client.call("ticks.TickService/Get", { i: 1 }), { i: 1 });
  assert.deepEqual([client.state, client.transport], ["open", "sse"]);
});

test("where there is no WebSocket at all, none is tried", async () => {
  const client = start(server.url, { WebSocket: undefined });
  assert.equal(client.transport, "sse");
  assert.deepEqual(await client.call("ticks.TickService/Get", { i: 1 }), { i: 1 });
});

test("a server that comes up late is found, by the best transport", async () => {
  const own = new Server();
  await own.start();
  await own.stop();
  const client = start(own.url, { backoff: { firstMs: 1, maxMs: 20 } });
  const answer = client.call("ticks.TickService/Get", { i: 5 });
  // A round over all transports, without a server.
  for (const _ of [1, 2, 3]) await until(client, "connecting");
  await own.start();
  later(() => own.stop("SIGKILL")); // a drain waits for idle connections that fetch keeps
  assert.deepEqual(await answer, { i: 5 });
});

test("a token that is wrong closes the client; one that is asked for again and right does not", async () => {
  const own = await new Server({ TICKS_TOKEN: "right" }).start();
  later(() => own.stop("SIGKILL")); // a drain waits for idle connections that fetch keeps
  const wrong = start(own.url, { token: "wrong" });
  const error = await failure(wrong.call("ticks.TickService/Get", { i: 1 }));
  assert.deepEqual([error.code, error.reason, wrong.state], ["UNAUTHENTICATED", "BAD_TOKEN", "closed"]);
  const tokens = ["stale", "right"];
  const client = start(own.url, { token: async () => tokens.shift() ?? "right" });
  assert.deepEqual(await client.call("ticks.TickService/Get", { i: 1 }), { i: 1 });
  assert.equal(client.transport, "websocket");
});

for (const name of ["websocket", "sse", "polling"]) {
  test(`${name}: nothing keeps a process running after close()`, () => {
    const script = `
      import { WebSocket } from "ws";
      import { connect } from "./generated/polywire.js";
      const client = connect("${server.url}", { WebSocket, transports: ["${name}"] });
      client.call("ticks.TickService/Sleep", {}, { timeout: 1e6 }).catch(({ reason }) => console.log(reason));
      const { value } = await client.stream("ticks.TickService/Count", { to: 1e9 }).next();
      client.close();
      console.log(value.i);`;
    const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", timeout: 30_000 });
    assert.deepEqual([done.stderr, done.stdout, done.status], ["", "0\nCLIENT_CLOSED\n", 0]);
  });
}
