// The client at /polywire.js in pages of headless Chromium.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { HttpProxy, Server } from "../client/server.mjs";

const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
let browser, server, origins;

const blank = () =>
  new Promise((resolve) => {
    const made = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html>"));
    made.listen(0, "127.0.0.1", () => resolve(made));
  });
const addressOf = (made) => `http://127.0.0.1:${made.address().port}/`;

before(async () => {
  origins = await Promise.all([blank(), blank()]);
  server = await new Server({ TICKS_ORIGINS: addressOf(origins[0]).slice(0, -1) }).start();
  browser = await chromium.launch({ executablePath, args });
});
after(async () => {
  await browser?.close();
  await server?.stop();
  origins?.forEach((made) => made.close());
});

/** Open a page and run a function in it, which gets the client's module. */
async function inPage(address, base, run) {
  const page = await browser.newPage();
  const failures = [];
  page.on("pageerror", (error) => failures.push(String(error)));
  try {
    await page.goto(address);
    const result = await page.evaluate(
      async ([base, text]) => (0, eval)(text)(await import(`${base}/polywire.js`), base),
      [base, String(run)],
    );
    assert.deepEqual(failures, []);
    return result;
  } finally {
    await page.close();
  }
}

const allShapes = async ({ connect, PolywireError }, base) => {
  const client = connect(base);
  const numbers = async (items) => {
    const found = [];
    for await (const { i } of items) found.push(i);
    return found;
  };
  async function* ticks(count) {
    for (let i = 0; i < count; i++) yield { i };
  }
  const result = [
    await client.call("ticks.TickService/Get", { i: 7 }),
    await client.call("ticks.TickService/Get", { i: -1 }).catch((error) => [error instanceof PolywireError, error.code, error.reason]),
    await client.call("ticks.TickService/Upload", ticks(20)),
    await numbers(client.stream("ticks.TickService/Chat", ticks(3))),
    (await numbers(client.stream("ticks.TickService/Count", { to: 200 }, { window: 4 }))).length,
    client.transport,
  ];
  client.close();
  return result;
};
const expected = (transport) => [{ i: 7 }, [true, "NOT_FOUND", "NO_TICK"], { count: 20, total: 190 }, [0, -1, -2], 200, transport];

test("a page of the server's own calls over a WebSocket", async () => {
  assert.deepEqual(await inPage(`${server.url}/health/live`, server.url, allShapes), expected("websocket"));
});

test("so does a page of an origin that is listed", async () => {
  assert.deepEqual(await inPage(addressOf(origins[0]), server.url, allShapes), expected("websocket"));
});

test("a page of any other origin does not even get the module", async () => {
  await assert.rejects(inPage(addressOf(origins[1]), server.url, allShapes), /Failed to fetch dynamically imported module/);
});

test("behind a proxy that takes no WebSockets it calls over server-sent events", async () => {
  const proxy = await new HttpProxy().start(server.port);
  try {
    assert.deepEqual(await inPage(`${proxy.url}/health/live`, proxy.url, allShapes), expected("sse"));
  } finally {
    await proxy.stop();
  }
});

test("a page that comes online again does not wait for the next attempt", async () => {
  const own = await new Server().start();
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`${own.url}/health/live`);
    await page.evaluate(async () => {
      const { connect } = await import("/polywire.js");
      Math.random = () => 1;
      const client = (globalThis.client = connect(undefined, { transports: ["websocket"], backoff: { firstMs: 3_600_000, maxMs: 3_600_000 } }));
      const opened = new Promise((resolve) => client.addEventListener("state", ({ detail }) => detail.state === "open" && resolve()));
      globalThis.lost = new Promise((resolve) => client.addEventListener("state", ({ detail }) => detail.state === "waiting" && resolve()));
      await opened;
    });
    await own.stop("SIGKILL");
    await page.evaluate(() => globalThis.lost);
    await own.start();
    await context.setOffline(true);
    await context.setOffline(false);
    assert.deepEqual(await page.evaluate(() => globalThis.client.call("ticks.TickService/Get", { i: 3 })), { i: 3 });
  } finally {
    await context.close();
    await own.stop();
  }
});
