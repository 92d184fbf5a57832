// The pages of the demo in headless Chromium, two of them talking to each other.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { io } from "socket.io-client";
import { HttpProxy, Server } from "../client/server.mjs";

const base = process.env.BASE;
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const app = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "atlas", "app.py");
const HOSTILE = `<img src=x onerror="hacked=1"><script>hacked=1</script><svg onload="hacked=1">&amp;`;
const NAMES = ["chat", "market", "messages", "document", "echo"];
let browser;
let contexts = [];
let failures = [];
let places = 0;

before(async () => {
  browser = await chromium.launch({ executablePath, args });
});
after(() => browser?.close());
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
  const found = failures;
  failures = [];
  assert.deepEqual(found, []);
});

/** A room or document of a test's own. */
const place = () => `pages-${process.pid}-${++places}`;

/** A page in a browser of its own. What goes wrong in it fails the test, unless its server is `lost` meanwhile. */
async function open(name, query = {}, { at = base, lost = false, options = {} } = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, ...options });
  contexts.push(context);
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  // Time goes by as ever, and can be hurried.
  await page.clock.install();
  page.on("pageerror", (error) => failures.push(`${name}: ${error}`));
  page.on("console", (said) => {
    if (said.type() === "error" && !lost) failures.push(`${name}: ${said.text()}`);
  });
  await page.goto(`${at}/demo/${name}.html?${new URLSearchParams(query)}`);
  return page;
}

const connected = (page, transport) => page.locator("#state", { hasText: `connected by ${transport}` }).waitFor();
const texts = (page, selector) => page.locator(selector).allInnerTexts();

async function send(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

/** What is said in a chat, as "name text", once there is so much. */
async function said(page, count, list = "#messages") {
  await page.locator(`${list} .from`).nth(count - 1).waitFor();
  return page.locator(`${list} li:has(.from)`).evaluateAll((lines) =>
    lines.map((line) => [...line.childNodes].slice(1).map((node) => node.textContent).join(" ")),
  );
}

async function nothingRan(page) {
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  assert.equal(await page.locator("main img, main script, li svg").count(), 0);
}

test("the first page leads to all others, and each of them to each", async () => {
  const page = await open("index");
  const links = await page.locator("a.card").evaluateAll((cards) => cards.map((card) => card.href));
  assert.deepEqual(links.slice(0, 5), NAMES.map((name) => `${base}/demo/${name}.html`));
  for (const link of links) {
    const answer = await page.request.get(link, { headers: { accept: "text/html" } });
    assert.equal(answer.status(), 200, link);
  }
  for (const name of NAMES) {
    await page.click(`nav a:text-is("${name[0].toUpperCase()}${name.slice(1)}")`);
    await page.locator("#state[data-state=open]").waitFor();
    assert.equal(page.url(), `${base}/demo/${name}.html`);
    assert.equal(await page.locator("nav a[aria-current=page]").count(), 1);
  }
});

for (const [look, options] of [
  ["narrow and dark", { viewport: { width: 320, height: 640 }, colorScheme: "dark" }],
  ["wide and light", { viewport: { width: 1600, height: 900 }, colorScheme: "light" }],
]) {
  test(`no page is broader than a window that is ${look}`, async () => {
    for (const name of ["index", ...NAMES]) {
      const page = await open(name, {}, { options });
      if (name !== "index") await page.locator("#state[data-state=open]").waitFor();
      const [width, back] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        getComputedStyle(document.body).backgroundColor,
      ]);
      assert.ok(width <= options.viewport.width, `${name}: ${width}`);
      assert.equal(Number(/\d+/.exec(back)[0]) < 128, options.colorScheme === "dark", name);
    }
    const page = await open("index", {}, { options });
    for (const path of ["/docs", "/graphql"]) {
      await page.goto(`${base}${path}`);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= options.viewport.width, `${path}: ${width}`);
    }
  });
}

test("two talk in a room, see each other come and go, and what was said before", async () => {
  const room = place();
  const alice = await open("chat", { user: "Alice", room });
  await connected(alice, "websocket");
  const bob = await open("chat", { user: "Jörg ☃", room });
  for (const page of [alice, bob]) {
    await page.locator("#members li").nth(1).waitFor();
    assert.deepEqual(await texts(page, "#members li"), ["Alice", "Jörg ☃"]);
  }
  await send(alice, "hello");
  assert.deepEqual(await said(bob, 1), ["Alice hello"]);
  await bob.locator("#text").pressSequentially("hello your");
  await alice.locator("#typing", { hasText: "Jörg ☃ is typing …" }).waitFor();
  await send(bob, "hello yourself");
  assert.deepEqual(await said(alice, 2), ["Alice hello", "Jörg ☃ hello yourself"]);
  assert.deepEqual(await said(bob, 2), ["Alice hello", "Jörg ☃ hello yourself"]);
  assert.equal(await alice.locator("#messages .mine").count(), 1);

  const late = await open("chat", { user: "Late", room });
  assert.deepEqual(await said(late, 2), ["Alice hello", "Jörg ☃ hello yourself"]);
  await bob.close();
  await alice.locator("#members", { hasNotText: "Jörg" }).waitFor();
  assert.deepEqual(await texts(alice, "#members li"), ["Alice", "Late"]);

  await late.fill("#room", place());
  await late.click("#who button");
  await alice.locator("#members", { hasNotText: "Late" }).waitFor();
  // The page shows the members of the old room until it has those of the new one.
  await late.locator("#members", { hasNotText: "Alice" }).getByText("Late").waitFor();
  assert.deepEqual(await texts(late, "#members li"), ["Late"]);
  await send(alice, "alone again");
  await said(alice, 3);
  assert.equal(await late.locator("#messages .from").count(), 0);
});

test("one who comes by socket.io is in the same room", async () => {
  const room = place();
  const page = await open("chat", { user: "Alice", room });
  const socket = io(base, { forceNew: true });
  try {
    await socket.timeout(10_000).emitWithAck("join", { room, user: "Sam" });
    await page.locator("#members li", { hasText: "Sam" }).waitFor();
    const heard = new Promise((resolve) => socket.on("message", resolve));
    await send(page, "hello");
    assert.equal((await heard).text, "hello");
    await socket.timeout(10_000).emitWithAck("say", { text: "hello from elsewhere" });
    assert.deepEqual(await said(page, 2), ["Alice hello", "Sam hello from elsewhere"]);
  } finally {
    socket.close();
  }
  await page.locator("#members", { hasNotText: "Sam" }).waitFor();
});

test("hostile names and texts are shown in a room, and do not run", async () => {
  const room = place();
  const user = HOSTILE.slice(0, 40);
  const pages = [await open("chat", { user, room }), await open("chat", { user: "Bob", room })];
  for (const page of pages) await page.locator("#members li").nth(1).waitFor();
  await send(pages[0], HOSTILE);
  for (const page of pages) {
    assert.deepEqual(await said(page, 1), [`${user} ${HOSTILE}`]);
    assert.ok((await texts(page, "#members li")).includes(user));
    await nothingRan(page);
  }
});

test("where no WebSocket gets through the room is heard over server-sent events", async () => {
  const proxy = await new HttpProxy().start(new URL(base).port);
  try {
    const room = place();
    const bob = await open("chat", { user: "Bob", room });
    await connected(bob, "websocket");
    // The browser tells of the WebSocket that was refused.
    const alice = await open("chat", { user: "Alice", room }, { at: proxy.url, lost: true });
    await connected(alice, "sse");
    await send(alice, "by sse");
    assert.deepEqual(await said(bob, 1), ["Alice by sse"]);
    await send(bob, "by websocket");
    assert.deepEqual(await said(alice, 2), ["Alice by sse", "Bob by websocket"]);
    await alice.close();
  } finally {
    await proxy.stop();
  }
});

test("two see the same ticks in the same order", async () => {
  const pages = [await open("market"), await open("market")];
  for (const page of pages) {
    await connected(page, "sse");
    await page.evaluate(() => {
      globalThis.ticks = [];
      new MutationObserver((changes) => {
        for (const { target, addedNodes } of changes) {
          if (target.previousElementSibling && target.nextElementSibling) {
            ticks.push(`${target.previousElementSibling.textContent} ${addedNodes[0].textContent}`);
          }
        }
      }).observe(document.getElementById("prices"), { childList: true, subtree: true });
    });
  }
  // The first ones may be of before both have looked.
  for (const page of pages) await page.waitForFunction(() => ticks.length >= 15);
  const [one, two] = await Promise.all(pages.map((page) => page.evaluate(() => ticks)));
  const begin = one.findIndex((tick) => tick === two[5]);
  assert.notEqual(begin, -1);
  const both = Math.min(one.length - begin, two.length - 5);
  assert.ok(both >= 5, String(both));
  assert.deepEqual(one.slice(begin, begin + both), two.slice(5, 5 + both));
});

test("a stock is looked at and bought", async () => {
  const page = await open("market");
  await page.locator("tbody tr").nth(49).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 50);
  await page.click("tbody tr:nth-child(7)");
  const symbol = await page.innerText("#chosen");
  assert.equal(symbol, (await page.innerText("tr[aria-selected=true] td:first-child")));
  assert.notEqual(symbol, "ACME");
  await page.waitForFunction(() => document.querySelectorAll("#bars rect").length === 60);
  await page.fill("#quantity", "3");
  await page.click("#buy button");
  await page.locator("#orders li", { hasText: `3 ${symbol} at ` }).waitFor();
  await page.click("#alert button");
  await page.locator("#alerts li", { hasText: `watching ${symbol} at ` }).waitFor();
});

test("a message reaches both pages by short and by long polling, and does not run", async () => {
  const pages = [await open("messages", { user: "Alice" }), await open("messages", { user: "Bob" })];
  for (const page of pages) await connected(page, "sse");
  const own = place();
  await send(pages[0], `${own} ${HOSTILE}`);
  await send(pages[1], `${own} reply`);
  for (const page of pages) {
    for (const list of ["#short", "#long"]) {
      await page.locator(`${list} li`, { hasText: `${own} reply` }).waitFor();
      const found = await said(page, 2, list);
      assert.deepEqual(found.filter((line) => line.includes(own)), [`Alice ${own} ${HOSTILE}`, `Bob ${own} reply`]);
    }
    await page.waitForFunction(() => document.querySelector("#events polyline")?.points.length >= 2);
    await nothingRan(page);
  }
});

test("a page that nobody looks at holds no connection, and catches up when it is seen again", async () => {
  const page = await open("messages", { user: "Alice" });
  await connected(page, "sse");
  const look = (isHidden) =>
    page.evaluate((isHidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  const ended = (path) => page.waitForEvent("requestfailed", (request) => request.url().startsWith(base + path));
  const both = [ended("/api/events"), ended("/api/messages?since=")];
  await look(true);
  await Promise.all(both);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  const own = place();
  await page.request.post(`${base}/api/messages`, { data: { user: "Bob", text: own } });
  await page.clock.runFor(60_000);
  assert.deepEqual(asked, []);
  await look(false);
  await connected(page, "sse");
  for (const list of ["#short", "#long"]) await page.locator(`${list} li`, { hasText: own }).waitFor();
});

test("two write at once, and end with the same text", async () => {
  const name = place();
  const pages = [await open("document", { document: name }), await open("document", { document: name })];
  for (const page of pages) {
    await page.locator("#text:enabled").waitFor();
    await page.locator("#editors", { hasText: "2 are here" }).waitFor();
  }
  const value = (page) => page.inputValue("#text");
  const both = async (isDone) => {
    for (;;) {
      const [one, two] = await Promise.all(pages.map(value));
      if (one === two && isDone(one)) return one;
    }
  };
  await pages[0].fill("#text", "start 🙂 <b>end</b>");
  await both((text) => text === "start 🙂 <b>end</b>");
  const type = async (page, place, letters) => {
    await page.focus("#text");
    await page.evaluate((at) => document.getElementById("text").setSelectionRange(at, at), place);
    await page.keyboard.type(letters);
  };
  // One before and one after a character of two UTF-16 units.
  await Promise.all([type(pages[0], 6, "abcdefghijklmnopqrstuvwxyz"), type(pages[1], 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]);
  const letters = (text, pattern) => (text.match(pattern) ?? []).join("");
  const text = await both((text) => text.length === 19 + 52);
  assert.equal(text, "start abcdefghijklmnopqrstuvwxyz🙂ABCDEFGHIJKLMNOPQRSTUVWXYZ <b>end</b>");
  // At the same place: each one's letters stay in their order.
  await Promise.all([type(pages[0], 0, "0123456789"), type(pages[1], 0, "äöüßéèêñçø")]);
  const now = await both((text) => text.length === 19 + 72);
  assert.equal(letters(now, /[0-9]/g), "0123456789");
  assert.equal(letters(now, /[äöüßéèêñçø]/g), "äöüßéèêñçø");
  // One deletes what the other writes in.
  await Promise.all([pages[0].fill("#text", ""), type(pages[1], 30, "!!!")]);
  const left = await both((text) => !/[^!]/.test(text));
  assert.match(left, /^!{0,3}$/);

  const late = await open("document", { document: name });
  await late.locator("#editors", { hasText: "3 are here" }).waitFor();
  assert.equal(await value(late), left);
});

test("what is sent comes back, text and bytes", async () => {
  const pages = [await open("echo"), await open("echo")];
  for (const page of pages) await connected(page, "websocket");
  const sent = ["hello", HOSTILE, "☃ 🙂", "0x00ff10"];
  for (const text of sent) {
    for (const page of pages) await send(page, text);
  }
  for (const page of pages) {
    await page.locator("#log li").nth(sent.length - 1).waitFor();
    const lines = await page.locator("#log li").evaluateAll((all) => all.map((line) => line.lastChild.textContent));
    assert.deepEqual(lines, sent);
    await nothingRan(page);
    await page.click("#burst");
    await page.locator("#summary", { hasText: "1000 came back in" }).waitFor();
  }
});

test("pages come back by themselves after the server was away", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "polywire-pages-"));
  const environment = {
    ATLAS_DATABASE_URL: `sqlite:///${join(scratch, "atlas.db")}`,
    ATLAS_FILES: join(scratch, "files"),
    ATLAS_LOG: join(scratch, "atlas.log"),
  };
  const server = await new Server(environment, app).start();
  try {
    const room = place();
    const there = { at: server.url, lost: true };
    const alice = await open("chat", { user: "Alice", room }, there);
    const bob = await open("chat", { user: "Bob", room }, there);
    const market = await open("market", {}, there);
    const writer = await open("document", { document: room }, there);
    const echo = await open("echo", {}, there);
    const all = [alice, bob, market, writer, echo];
    for (const page of all) await page.locator("#state[data-state=open]").waitFor();
    await send(alice, "before");
    await said(bob, 1);
    await server.stop("SIGKILL");
    for (const page of all) await page.locator("#state[data-state=waiting]").waitFor();
    await server.start();
    for (const page of all) await page.locator("#state[data-state=open]").waitFor({ timeout: 60_000 });
    // The server in memory has forgotten what was said, and the pages tell so.
    for (const page of [alice, bob]) await page.locator("#messages .note", { hasText: "missing" }).waitFor();
    await send(bob, "after");
    assert.deepEqual(await said(alice, 2), ["Alice before", "Bob after"]);
    for (const page of [alice, bob]) {
      await page.locator("#members li").nth(1).waitFor();
      assert.deepEqual(await texts(page, "#members li"), ["Alice", "Bob"]);
    }
    await writer.locator("#text:enabled").waitFor();
    await send(echo, "again");
    await echo.locator("#log li", { hasText: "again" }).waitFor();
    await server.stop();
    assert.doesNotMatch(server.said, /cancelled/, "no page holds up a server that goes");
  } finally {
    await Promise.all(contexts.map((context) => context.close()));
    contexts = [];
    await server.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
});
