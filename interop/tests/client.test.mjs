// The client at /polywire.js against a server that does what each test wants: what it sends, and what it makes of what comes.
import assert from "node:assert/strict";
import { createServer as createHttp } from "node:http";
import { createServer } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { FakeServer, collect, failure, until } from "../client/fake.mjs";

let server, client;
beforeEach(async () => {
  server = await FakeServer.start();
});
afterEach(async () => {
  client?.close();
  await server.stop();
});
const start = (options) => (client = server.connect(options));
const ofMethod = (method) => (message) => message.type === "call" && message.method === method;
const items = (socket, id, from, to) => {
  for (let i = from; i < to; i++) socket.say({ type: "next", id, message: { i }, position: `e:${i}` });
};
const numbers = (found) => found.map(({ i }) => i);
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

test("a call is made before there is a connection, and answered", async () => {
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: { x: 1 } });
  start({ token: "secret" });
  assert.equal(client.state, "connecting");
  assert.deepEqual(await client.call("a.B/Get", { y: 2 }, { metadata: { k: "v" }, timeout: 5000 }), { x: 1 });
  assert.equal(client.state, "open");
  const [hello, call] = server.seen;
  assert.deepEqual([hello.type, hello.token], ["hello", "secret"]);
  assert.deepEqual([call.input, call.metadata, call.credit], [{ y: 2 }, { k: "v" }, undefined]);
  assert.ok(call.timeout_s > 0 && call.timeout_s <= 5);
});

test("an error comes with its code, reason, details and request id", async () => {
  server.on["a.B/Get"] = (socket, { id }) =>
    socket.say({ type: "error", id, code: "NOT_FOUND", reason: "NO_USER", message: "no user 7", details: [1], request_id: "r" });
  const error = await failure(start().call("a.B/Get"));
  const { name, code, reason, message, details, requestId } = error;
  assert.deepEqual([name, code, reason, message, details, requestId], ["PolywireError", "NOT_FOUND", "NO_USER", "no user 7", [1], "r"]);
});

test("what is too large, or no JSON, ends that call only", async () => {
  server.welcome = { limits: { message_bytes: 100, calls: 8, credit: 2 } };
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: 1 });
  start();
  assert.equal((await failure(client.call("a.B/Get", { text: "ä".repeat(50) }))).reason, "TOO_LARGE");
  await assert.rejects(client.call("a.B/Get", { big: 1n }), TypeError);
  assert.equal(await client.call("a.B/Get"), 1);
  assert.equal(server.sockets.length, 1);
});

test("a signal cancels, here and at the server; one that was aborted before sends nothing", async () => {
  const control = new AbortController();
  const answer = start().call("a.B/Get", {}, { signal: control.signal });
  const { id } = await server.until(ofMethod("a.B/Get"));
  control.abort(new Error("enough"));
  assert.equal((await failure(answer)).message, "enough");
  assert.equal((await server.until((message) => message.type === "cancel")).id, id);
  assert.equal((await failure(client.call("a.B/Other", {}, { signal: control.signal }))).message, "enough");
  assert.equal(server.seen.some(ofMethod("a.B/Other")), false);
});

test("a time-out is the client's own too", async () => {
  assert.equal((await failure(start().call("a.B/Get", {}, { timeout: 20 }))).code, "DEADLINE_EXCEEDED");
  // Also of a call that was never sent.
  const lost = until(client, "waiting");
  await server.stop();
  await lost;
  assert.equal((await failure(client.call("a.B/Get", {}, { timeout: 20 }))).code, "DEADLINE_EXCEEDED");
});

test("calls wait for room, in order, and no more than may", async () => {
  server.welcome = { limits: { message_bytes: 1000, calls: 1, credit: 2 } };
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: id });
  start({ maxWaiting: 3 });
  const answers = [1, 2, 3].map(() => client.call("a.B/Get"));
  assert.equal((await failure(client.call("a.B/Get"))).reason, "QUEUE_FULL");
  assert.deepEqual(await Promise.all(answers), [1, 2, 3]);
});

test("a call that was given up takes no room among those that wait", async () => {
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: 1 });
  start({ maxWaiting: 1 });
  for (let i = 0; i < 3; i++) {
    const control = new AbortController();
    const answer = failure(client.call("a.B/Get", {}, { signal: control.signal }));
    control.abort(new Error("enough"));
    assert.equal((await answer).message, "enough");
  }
  assert.equal(await client.call("a.B/Get"), 1);
});

test("a stream is read at the reader's pace: the server gets credit for what was read", async () => {
  let credit = 0;
  let sent = 0;
  const send = (socket, id) => {
    for (; credit > 0 && sent < 100; credit--) socket.say({ type: "next", id, message: { i: sent++ } });
    if (sent === 100) socket.say({ type: "end", id });
  };
  server.on["a.B/Watch"] = (socket, message) => {
    credit = message.credit;
    socket.on("message", (data) => {
      const { type, count, id } = JSON.parse(data);
      if (type === "credit") send(socket, id, (credit += count));
    });
    send(socket, message.id);
  };
  const stream = start({ window: 8 }).stream("a.B/Watch");
  await stream.next();
  assert.ok(sent <= 8, `${sent} were sent for one that was read`);
  assert.deepEqual(numbers(await collect(stream)), range(1, 100));
  const grants = server.seen.filter(({ type }) => type === "credit");
  assert.ok(grants.length <= 25, `${grants.length} messages of credit`);
});

test("a server that sends more than it may is cut off", async () => {
  server.on["a.B/Watch"] = (socket, { id }) => items(socket, id, 0, 100);
  const stream = start({ window: 4 }).stream("a.B/Watch");
  await server.until((message) => message.type === "cancel");
  const found = [];
  const error = await failure((async () => { for await (const item of stream) found.push(item.i); })());
  assert.equal(error.code, "INTERNAL");
  assert.deepEqual(found, range(0, 5));
});

test("items that came before an error are read before it, and the error is told once", async () => {
  server.on["a.B/Watch"] = (socket, { id }) => {
    items(socket, id, 0, 2);
    socket.say({ type: "error", id, code: "ABORTED", message: "no more" });
  };
  const stream = start().stream("a.B/Watch");
  assert.equal((await stream.next()).value.i, 0);
  assert.equal((await stream.next()).value.i, 1);
  assert.equal((await failure(stream.next())).code, "ABORTED");
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("leaving the loop cancels", async () => {
  server.on["a.B/Watch"] = (socket, { id }) => items(socket, id, 0, 2);
  for await (const { i } of start().stream("a.B/Watch")) if (i === 1) break;
  await server.until((message) => message.type === "cancel");
});

test("a client's stream is sent as the server gives credit", async () => {
  server.on["a.B/Upload"] = (socket, { id }) => {
    let count = 0;
    socket.on("message", (data) => {
      const { type } = JSON.parse(data);
      if (type === "next" && ++count % 2 === 0) socket.say({ type: "credit", id, count: 2 });
      if (type === "end") socket.say({ type: "result", id, message: count });
    });
  };
  async function* upload() {
    for (let i = 0; i < 7; i++) yield { i };
  }
  assert.equal(await start().call("a.B/Upload", upload()), 7);
  const call = server.seen.find(ofMethod("a.B/Upload"));
  assert.equal("input" in call, false);
});

test("without credit nothing more is asked of the iterator, which is closed when the call ends", async () => {
  let asked = 0;
  let closed = 0;
  const input = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: { i: asked++ } }),
      return: async () => { closed++; throw new Error("nobody hears this"); },
    }),
  };
  const answer = start().call("a.B/Upload", input);
  await server.until(({ type, message }) => type === "next" && message.i === 1);
  server.sockets[0].say({ type: "error", id: server.seen.find(ofMethod("a.B/Upload")).id, code: "ABORTED", message: "" });
  assert.equal((await failure(answer)).code, "ABORTED");
  assert.deepEqual([asked, closed], [2, 1]);
});

test("what the iterator throws is what the call fails with", async () => {
  async function* broken() {
    yield { i: 0 };
    throw new RangeError("a bad one");
  }
  await assert.rejects(start().call("a.B/Upload", broken()), RangeError);
  await server.until((message) => message.type === "cancel");
});

test("a stream with positions goes on after the last one that came, over another connection", async () => {
  server.on["a.B/Watch"] = (socket, { id, after }) => {
    const from = after === undefined ? 0 : Number(after.slice(2)) + 1;
    items(socket, id, from, from + 10);
    if (from === 30) socket.say({ type: "end", id });
    else socket.terminate();
  };
  const stream = start().stream("a.B/Watch");
  assert.deepEqual(numbers(await collect(stream)), range(0, 40));
  assert.equal(stream.position, "e:39");
  assert.equal(server.sockets.length, 4);
});

test("what cannot be sent twice ends when its connection is lost; what may be is sent again", async () => {
  server.on["a.B/Pay"] = (socket) => socket.terminate();
  server.on["a.B/Get"] = (socket, { id, socket: number }) => number > 2 && socket.say({ type: "result", id, message: "again" });
  server.on["a.B/Watch"] = (socket, { id }) => (socket.say({ type: "next", id, message: { i: 0 } }), socket.terminate());
  start();
  const get = client.call("a.B/Get", {}, { idempotent: true });
  assert.equal((await failure(client.call("a.B/Pay"))).reason, "CONNECTION_LOST");
  assert.equal((await failure(collect(client.stream("a.B/Watch")))).reason, "CONNECTION_LOST");
  assert.equal((await failure(client.call("a.B/Pay"))).reason, "CONNECTION_LOST");
  assert.equal(await get, "again");
});

test("a tracked stream that is told UNAVAILABLE is asked for again, another error ends it", async () => {
  let count = 0;
  server.on["a.B/Watch"] = (socket, { id }) => {
    items(socket, id, count, count + 1);
    socket.say({ type: "error", id, code: ++count < 3 ? "UNAVAILABLE" : "NOT_FOUND", reason: "SLOW_CONSUMER", message: "" });
  };
  const stream = start().stream("a.B/Watch");
  const found = [];
  const error = await failure((async () => { for await (const item of stream) found.push(item.i); })());
  assert.equal(error.code, "NOT_FOUND");
  assert.deepEqual(found, [0, 1, 2]);
  assert.deepEqual(server.seen.filter(ofMethod("a.B/Watch")).map(({ after }) => after), [undefined, "e:0", "e:1"]);
  assert.equal(server.sockets.length, 1);
});

test("going away: streams move to a new connection, calls end on the old one", async () => {
  server.on["a.B/Watch"] = (socket, { id, after }) => (after ? (items(socket, id, 1, 2), socket.say({ type: "end", id })) : items(socket, id, 0, 1));
  start();
  const states = [];
  client.addEventListener("state", ({ detail }) => states.push(detail.state));
  const stream = client.stream("a.B/Watch");
  await stream.next();
  const answer = client.call("a.B/Slow");
  const { id } = await server.until(ofMethod("a.B/Slow"));
  server.sockets[0].say({ type: "going_away", reconnect_s: 0.01 });
  assert.deepEqual(numbers(await collect(stream)), [1]);
  const closed = new Promise((resolve) => server.sockets[0].once("close", resolve));
  server.sockets[0].say({ type: "result", id, message: "done" });
  assert.equal(await answer, "done");
  await closed;
  assert.deepEqual(states.slice(-3), ["leaving", "connecting", "open"]);
  assert.equal(server.sockets.length, 2);
});

test("going away, and closed before it was time: the new connection still waits for that", async ({ mock }) => {
  mock.method(Math, "random", () => 1);
  start();
  await until(client, "open");
  const opened = until(client, "open");
  const closed = new Promise((resolve) => server.sockets[0].once("close", resolve));
  server.sockets[0].say({ type: "going_away", reconnect_s: 0.2 });
  server.sockets[0].close(1012);
  await closed;
  assert.equal(client.state, "leaving");
  await opened;
});

for (const code of [1002, 1003, 1007, 1008, 1009, 4400, 4406]) {
  test(`${code} says not to come back`, async () => {
    server.on["a.B/Get"] = (socket) => socket.close(code, "for a reason");
    start();
    const answers = [client.call("a.B/Get"), client.call("a.B/Wait", {}, { idempotent: true })];
    const { error } = await until(client, "closed");
    assert.deepEqual([error.reason, error.message], [`CLOSED_${code}`, "for a reason"]);
    assert.equal((await failure(answers[0])).reason, "CONNECTION_LOST");
    for (const answer of [answers[1], client.call("a.B/Get")]) assert.equal(await failure(answer), error);
    assert.equal(server.sockets.length, 1);
  });
}

for (const code of [1001, 1011, 1012, 1013, 4408]) {
  test(`${code} says to come back`, async () => {
    server.on["a.B/Get"] = (socket, { id, socket: number }) =>
      number > 0 ? socket.say({ type: "result", id, message: number }) : socket.close(code);
    assert.equal(await start().call("a.B/Get", {}, { idempotent: true }), 1);
  });
}

test("4000 says that nothing was under way: the next call comes back", async () => {
  server.on["a.B/Get"] = (socket, { id, socket: number }) => socket.say({ type: "result", id, message: number });
  start();
  assert.equal(await client.call("a.B/Get"), 0);
  const idle = until(client, "idle");
  server.sockets[0].close(4000);
  await idle;
  assert.equal(await client.call("a.B/Get"), 1);
});

test("a stream that is resumed while its items wait gets credit for what room there is", async () => {
  server.on["a.B/Watch"] = (socket, { id, credit, after }) => {
    if (after !== undefined) return socket.say({ type: "end", id });
    items(socket, id, 0, credit);
    socket.close(1012);
  };
  const stream = start({ window: 4 }).stream("a.B/Watch");
  const { credit } = await server.until(({ after }) => after === "e:3");
  assert.equal(credit, 1);
  assert.deepEqual(numbers(await collect(stream)), range(0, 4));
});

test("a token that is refused is asked for once more; then the client is closed", async () => {
  const refuse = (socket) => {
    socket.say({ type: "error", code: "UNAUTHENTICATED", reason: "EXPIRED", message: "too old" });
    socket.close(4401);
  };
  server.hello = (socket, { token }) => token === "old" && refuse(socket);
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: 1 });
  const tokens = ["old", "new"];
  start({ token: async () => tokens.shift() });
  assert.equal(await client.call("a.B/Get"), 1);
  assert.equal(server.sockets.length, 2);
  client.close();

  for (const [token, attempts] of [["old", 3], [() => "old", 5]]) {
    start({ token });
    const { error } = await until(client, "closed");
    assert.deepEqual([error.code, error.reason], ["UNAUTHENTICATED", "EXPIRED"]);
    assert.equal(server.sockets.length, attempts);
  }
});

test("a token that cannot be had is asked for again", async () => {
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: 1 });
  let asked = 0;
  const token = () => (++asked < 3 ? Promise.reject(new Error("no network")) : "t");
  assert.equal(await start({ token }).call("a.B/Get"), 1);
  assert.equal(asked, 3);
});

test("a server that falls silent is asked, and left", async () => {
  server.welcome = { heartbeat_s: 0.02 };
  start();
  await until(client, "open");
  const lost = until(client, "waiting");
  const { socket } = await server.until((message) => message.type === "ping");
  assert.equal(socket, 0);
  assert.equal((await lost).error.message, "the server is silent");
});

test("a server that answers pings is not left", async () => {
  server.welcome = { heartbeat_s: 0.01 };
  start();
  let pings = 0;
  await until(client, "open");
  await new Promise((resolve) => {
    server.sockets[0].on("message", (data) => {
      if (JSON.parse(data).type !== "ping") return;
      server.sockets[0].say({ type: "pong" });
      if (++pings === 10) resolve();
    });
  });
  assert.deepEqual([client.state, server.sockets.length], ["open", 1]);
});

test("what was open is asked for a sign of life when the network is there again, and left without one", async () => {
  const network = new EventTarget();
  const listeners = new Set();
  globalThis.addEventListener = (name, listener) => (listeners.add(listener), network.addEventListener(name, listener));
  globalThis.removeEventListener = (name, listener) => (listeners.delete(listener), network.removeEventListener(name, listener));
  try {
    start({ connectTimeout: 50 });
    await until(client, "open");
    const lost = until(client, "waiting");
    network.dispatchEvent(new Event("online"));
    await server.until((message) => message.type === "ping");
    assert.equal((await lost).error.message, "no answer");
    await until(client, "open");
    client.close();
    assert.equal(listeners.size, 0);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test("who takes a connection and says nothing is not waited for", async () => {
  const sockets = [];
  const silent = createServer((socket) => sockets.push(socket.resume().on("error", () => {})));
  await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
  server.url = `http://127.0.0.1:${silent.address().port}`;
  start({ connectTimeout: 20, transports: ["websocket", "sse", "polling"] });
  const tried = [client.transport];
  client.addEventListener("state", ({ detail: { state, transport } }) => state === "connecting" && tried.push(transport));
  assert.equal((await until(client, "waiting")).error.message, "no answer in time");
  await until(client, "connecting");
  assert.deepEqual(tried, ["websocket", "sse", "polling", "websocket"]);
  client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test("a transport that has stood in for a better one makes room for it when it is lost", async () => {
  const down = async (url) => {
    if (url.includes("/rpc/")) throw new Error("the server is down");
    return new Response("{}");
  };
  start({ transports: ["websocket", "sse"], fetch: down });
  await until(client, "open");
  server.wss.shouldHandle = () => false;
  server.sockets[0].terminate();
  assert.equal((await until(client, "open")).transport, "sse");
  server.wss.shouldHandle = () => true;
  server.on["test.Test/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: 1 });
  assert.equal(await client.call("test.Test/Get", {}, { idempotent: true, timeout: 5_000 }), 1);
  assert.equal(client.transport, "websocket");
});

test("a stream over events falls silent, before its head or after: it is asked for again", async () => {
  const asked = [];
  const events = createHttp((request, answer) => {
    if (request.method === "GET") return answer.end("{}");
    asked.push(request.headers["last-event-id"]);
    if (asked.length === 1) return undefined;
    if (asked.length > 2) return answer.end('id: e:8\ndata: {"i":8}\n\nevent: end\nid: :end\ndata: {}\n\n');
    return answer.write('id: e:7\ndata: {"i":7}\n\n');
  });
  await new Promise((resolve) => events.listen(0, "127.0.0.1", resolve));
  server.url = `http://127.0.0.1:${events.address().port}`;
  try {
    const stream = start({ transports: ["sse"], silence: 50 }).stream("a.B/Watch", {}, { after: "e:6" });
    assert.deepEqual(numbers(await collect(stream)), [7, 8]);
    assert.deepEqual(asked, ["e:6", "e:6", "e:7"]);
  } finally {
    client.close();
    events.closeAllConnections();
    await new Promise((resolve) => events.close(resolve));
  }
});

test("messages for nobody, and what is no JSON", async () => {
  server.on["a.B/Get"] = (socket, { id }) => {
    socket.say({ type: "next", id: 77, message: {} });
    socket.say({ type: "something_new" });
    socket.say({ type: "result", id, message: 1 });
  };
  assert.equal(await start().call("a.B/Get"), 1);
  const closed = until(client, "closed");
  server.sockets[0].send("{");
  assert.equal((await closed).error.reason, "CLOSED_1007");
});

for (const text of ["null", "1", '"welcome"']) {
  test(`${text} is no message: the client is closed`, async () => {
    server.on["a.B/Get"] = (socket) => socket.send(text);
    const answer = failure(start().call("a.B/Get"));
    assert.equal((await until(client, "closed")).error.reason, "CLOSED_1007");
    assert.equal((await answer).code, "UNAVAILABLE");
  });
}

for (const welcome of [{ heartbeat_s: 0 }, { heartbeat_s: 1e12 }, { heartbeat_s: "x" }, { limits: { calls: 0 } }]) {
  test(`a welcome with ${JSON.stringify(welcome)} cannot be`, async () => {
    server.welcome = welcome;
    assert.equal((await until(start(), "closed")).error.reason, "CLOSED_4400");
  });
}

test("a welcome without limits", async () => {
  server.welcome = { limits: null };
  server.on["a.B/Get"] = (socket, { id }) => socket.say({ type: "result", id, message: 1 });
  assert.equal(await start().call("a.B/Get"), 1);
});

test("who says that nothing was under way when something was is not come back to at once", async () => {
  server.on["a.B/Get"] = (socket) => socket.close(4000);
  start();
  const lost = until(client, "waiting");
  const answer = failure(client.call("a.B/Get", {}, { idempotent: true }));
  assert.equal((await lost).error.reason, "CLOSED_4000");
  client.close();
  await answer;
});

test("a server that gives credit and takes nothing does not have a whole stream queued here", async () => {
  server.on["a.B/Add"] = (socket, { id }) => {
    socket.say({ type: "credit", id, count: 1_000_000 });
    socket._socket.pause();
  };
  let asked = 0;
  let paused;
  const isPaused = new Promise((resolve) => (paused = resolve));
  const item = "x".repeat(1024 * 1024);
  let timer;
  async function* items() {
    for (; asked < 200; asked++) {
      clearTimeout(timer);
      timer = setTimeout(paused, 200); // nobody asks for more
      yield item;
    }
    paused();
  }
  server.welcome = { limits: { message_bytes: 1 << 22, calls: 8, credit: 2 } };
  const answer = failure(start().call("a.B/Add", items()));
  await isPaused;
  assert.ok(asked < 100, `${asked} MiB were taken`);
  client.close();
  await answer;
});

test("a poll that is not held is not asked again at once", async () => {
  let asked = 0;
  const page = JSON.stringify({ events: [], position: "e:0" });
  const cache = createHttp((request, answer) => {
    asked += request.method === "POST";
    answer.end(page);
  });
  await new Promise((resolve) => cache.listen(0, "127.0.0.1", resolve));
  server.url = `http://127.0.0.1:${cache.address().port}`;
  try {
    const events = start({ transports: ["polling"] }).subscribe("topics.Prices", {});
    const reading = failure(events.next());
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.close();
    await reading;
    assert.ok(asked < 5, `asked ${asked} times`);
  } finally {
    cache.closeAllConnections();
    await new Promise((resolve) => cache.close(resolve));
  }
});

test("close ends everything, and leaves no timer", async () => {
  start({ token: "t" });
  const answer = failure(client.call("a.B/Get", {}, { timeout: 60_000 }));
  const reading = failure(client.stream("a.B/Watch", {}, { after: "e:0" }).next());
  await server.until(ofMethod("a.B/Watch"));
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  client.close();
  assert.equal((await answer).reason, "CLIENT_CLOSED");
  assert.equal((await reading).reason, "CLIENT_CLOSED");
  assert.equal(client.state, "closed");
  assert.ok(before - timers() >= 2, "the time-out of the call, the heartbeat");
  client.close();
  assert.equal((await failure(client.call("a.B/Get"))).reason, "CLIENT_CLOSED");
});

test("a listener may close the client", async () => {
  start();
  client.addEventListener("state", () => client.close());
  await until(client, "closed");
  assert.equal((await failure(client.call("a.B/Get"))).code, "CANCELLED");
});

test("what is asked for wrongly is told at once", () => {
  assert.throws(() => server.connect({ transports: ["pigeon"] }), /pigeon is no transport; there are websocket, sse, polling/);
  assert.throws(() => server.connect({ WebSocket: null }), /none of the transports can be used here/);
  server.url = "ftp://x";
  assert.throws(() => server.connect(), /ftp: is no scheme/);
});
