// Headless Chromium: a page of the server's own, one of an origin that is listed, and one of an origin that is not.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const base = process.env.BASE;
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const blank = (port) =>
  new Promise((resolve) => {
    const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html>"));
    server.listen(Number(port), "127.0.0.1", () => resolve(server));
  });
let browser, bundle, servers;

before(async () => {
  const made = await build({ entryPoints: ["browser/page.mjs"], bundle: true, format: "iife", write: false });
  bundle = made.outputFiles[0].text;
  servers = await Promise.all([process.env.ALLOWED_PORT, process.env.FOREIGN_PORT].map(blank));
  browser = await chromium.launch({ executablePath, args });
});
after(async () => {
  await browser?.close();
  servers?.forEach((server) => server.close());
});

async function callsFrom(origin) {
  const page = await browser.newPage();
  await page.goto(origin);
  await page.evaluate(bundle);
  const results = await page.evaluate((to) => globalThis.callAll(to), base);
  await page.close();
  return results;
}
const streams = new Set(["EventSource", "Connect, stream", "gRPC-Web, stream", "tRPC, SSE"]);

test("a page of the server's own calls in every dialect", async () => {
  const results = await callsFrom(`${base}/health/live`);
  for (const [name, result] of Object.entries(results)) {
    assert.equal(result, streams.has(name) ? "User 1" : "Alice", name);
  }
});

test("so does a page of an origin that is listed", async () => {
  const results = await callsFrom(`http://127.0.0.1:${process.env.ALLOWED_PORT}/`);
  for (const [name, result] of Object.entries(results)) {
    assert.equal(result, streams.has(name) ? "User 1" : "Alice", name);
  }
});

test("a page of any other origin gets nothing", async () => {
  const results = await callsFrom(`http://127.0.0.1:${process.env.FOREIGN_PORT}/`);
  for (const [name, result] of Object.entries(results)) assert.match(String(result), /^failed: /, name);
});
