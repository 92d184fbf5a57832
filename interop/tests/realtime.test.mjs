// WebSockets, server-sent events and polling by clients that know nothing of polywire; the commands are those of the docs.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { EventSource } from "eventsource";
import { WebSocket } from "ws";

const base = process.env.BASE;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const bin = join(root, "interop", "node_modules", ".bin");
const environment = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
let rooms = 0;
const room = () => `realtime-${process.pid}-${++rooms}`;
const say = async (room, text) => {
  const answer = await fetch(`${base}/v1/rooms/${room}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: "ann", text }),
  });
  assert.equal(answer.status, 201);
  return (await answer.json()).position;
};

/** Passes connections on to the server, and cuts them. */
class Proxy {
  #open = new Set();
  #server = createServer((socket) => {
    const up = createConnection(Number(new URL(base).port), "127.0.0.1");
    for (const one of [socket, up]) this.#open.add(one.on("error", () => {}).on("close", () => this.#open.delete(one)));
    socket.pipe(up).pipe(socket);
  });

  async start() {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    this.port = this.#server.address().port;
    return this;
  }

  cut() {
    for (const one of this.#open) one.destroy();
  }

  stop() {
    this.cut();
    this.#server.close();
  }
}

const opened = async (path, options, protocols = []) => {
  const socket = new WebSocket(base.replace("http", "ws") + path, protocols, options);
  const messages = [];
  const waiting = [];
  socket.on("message", (data, isBinary) => {
    const one = isBinary ? data : String(data);
    if (waiting.length) waiting.shift()(one);
    else messages.push(one);
  });
  await once(socket, "open");
  return { socket, receive: async () => messages.shift() ?? new Promise((resolve) => waiting.push(resolve)) };
};

for (const perMessageDeflate of [false, true]) {
  test(`ws: text and bytes come back, ${perMessageDeflate ? "compressed" : "plain"}`, async () => {
    const { socket, receive } = await opened("/echo", { perMessageDeflate });
    assert.equal(socket.extensions.startsWith("permessage-deflate"), perMessageDeflate);
    for (const text of ["", "hello", "ünïcode", "x".repeat(200_000)]) {
      socket.send(text);
      assert.equal(await receive(), text);
    }
    socket.send(Buffer.from([0, 255, 16]));
    assert.deepEqual([...(await receive())], [0, 255, 16]);
    socket.ping("there?");
    const [payload] = await once(socket, "pong");
    assert.equal(String(payload), "there?");
    socket.close(4321, "done");
    assert.deepEqual((await once(socket, "close")).map(String), ["4321", "done"].slice(0, 1).concat(""));
  });
}

test("ws: a call and a subscription over the polywire protocol", async () => {
  const { socket, receive } = await opened("/ws", {}, ["polywire.v1.json"]);
  assert.equal(JSON.parse(await receive()).type, "welcome");
  const name = room();
  socket.send(JSON.stringify({ type: "call", id: 1, method: "topics.Rooms/Subscribe", input: { room: name } }));
  assert.equal(JSON.parse(await receive()).type, "next"); // the greeting
  assert.ok(JSON.parse(await receive()).message.joined);
  await say(name, "hello");
  const event = JSON.parse(await receive());
  assert.equal(event.message.data.text, "hello");
  assert.equal(event.position, event.message.position);
  socket.close();
});

test("ws: a page of another origin is refused", async () => {
  const socket = new WebSocket(`${base.replace("http", "ws")}/echo`, { origin: "https://evil.example" });
  const [error] = await once(socket, "error");
  assert.match(error.message, /403/);
});

test("eventsource: named events with ids", async () => {
  const source = new EventSource(`${base}/api/stock-updates`);
  const event = await new Promise((resolve) => source.addEventListener("stock-update", resolve));
  const { symbol, price } = JSON.parse(event.data);
  assert.match(symbol, /^[A-Z]{4}$/);
  assert.ok(price > 0);
  assert.match(event.lastEventId, /^.+:\d+$/);
  source.close();
});

test("eventsource: what was missed comes after a lost connection, once and in order", async () => {
  const name = room();
  const heard = [];
  const proxy = await new Proxy().start();
  const source = new EventSource(`http://127.0.0.1:${proxy.port}/topics/rooms/${name}`);
  const until = (count) =>
    new Promise((resolve) => {
      const look = () => heard.length >= count && resolve();
      source.addEventListener("message", look);
      look();
    });
  source.addEventListener("message", ({ data }) => {
    const event = JSON.parse(data);
    assert.equal(event.gap, null);
    if (event.data) heard.push(event.data.text);
  });
  await once(source, "open");
  await say(name, "one");
  await until(1);
  proxy.cut();
  await say(name, "two");
  await say(name, "three");
  await until(3);
  assert.deepEqual(heard, ["one", "two", "three"]);
  source.close();
  proxy.stop();
});

test("polling: nothing new is 304, and a long poll is held until there is news", async () => {
  const posted = await (await fetch(`${base}/api/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: "ann", text: "first" }),
  })).json();
  const address = `${base}/api/messages?since=${posted.id}`;
  const first = await fetch(address);
  const etag = first.headers.get("etag");
  const known = (await first.json()).length;
  if (known === 0) {
    const again = await fetch(address, { headers: { "if-none-match": etag } });
    assert.ok([200, 304].includes(again.status)); // others may have posted meanwhile
  }
  const name = room();
  await say(name, "one");
  const history = `${base}/topics/rooms/${name}/history`;
  const page = await fetch(history);
  const { position, events } = await page.json();
  assert.equal(events.length, 1);
  const same = await fetch(history, { headers: { "if-none-match": page.headers.get("etag") } });
  assert.equal(same.status, 304);
  const news = fetch(`${history}?after=${position}&wait_s=20`).then((answer) => answer.json());
  await say(name, "two");
  assert.deepEqual((await news).events.map(({ data }) => data.text), ["two"]);
  const none = await (await fetch(`${history}?after=${(await news).position}&wait_s=0.05`)).json();
  assert.deepEqual(none.events, []);
});

/** The commands of a page of the docs, which call the demo at its usual port. */
function commands(page) {
  const found = /<!-- commands[^>]*-->\n```sh\n([\s\S]*?)```/.exec(readFileSync(join(root, "docs", page), "utf8"));
  return found[1].trim().split("\n").map((line) => line.replace(/\s+#.*$/, "").replaceAll("localhost:8000", new URL(base).host));
}

for (const line of [...commands("websocket.md"), ...commands("topics.md")]) {
  const tool = line.split(" ")[0];
  const has = spawnSync("sh", ["-c", `command -v ${tool}`], { env: environment }).status === 0;
  test(`docs: ${line}`, { skip: has ? false : `${tool} is not installed` }, async () => {
    // Some have no end: what they say within a while counts.
    const running = spawn("sh", ["-c", `exec ${line}`], { env: environment, stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    running.stderr.on("data", (part) => (said += part));
    const wanted = tool === "websocat" || tool === "wscat" ? /hello/ : /position|timestamp|symbol|events|HTTP\/1.1 200|\[/;
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`nothing came: ${said}`)), 15_000);
      const look = (part) => {
        said += part;
        if (wanted.test(said)) resolve(clearTimeout(late));
      };
      running.stdout.on("data", look);
      running.on("exit", () => look(""));
      if (tool === "websocat") running.stdin.write("hello\n");
    });
    running.kill();
  });
}
