// What docs/javascript.md shows is run, and prints what it says.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { WebSocket } from "ws";
import { Server } from "../client/server.mjs";

const page = readFileSync("../docs/javascript.md", "utf8");
const blocks = (language) => [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, found]) => found === language).map(([, , code]) => code);

test("the page's blocks, one after the other", async ({ mock }) => {
  const folder = mkdtempSync(join(tmpdir(), "polywire-docs-"));
  const file = join(folder, "market.py");
  writeFileSync(file, blocks("python")[0]);
  const server = new Server({}, file);
  const printed = [];
  const log = mock.method(console, "log", (...parts) => printed.push(parts.map(String).join(" ")));
  const before = globalThis.WebSocket;
  globalThis.WebSocket = WebSocket;
  try {
    await server.start();
    const code = blocks("js").join("\n");
    assert.ok(code.startsWith("import "));
    writeFileSync("generated/page.mjs", code.replace("https://market.example.com/polywire.js", "./polywire.js").replaceAll("https://market.example.com", server.url));
    await import("../generated/page.mjs");
  } finally {
    log.mock.restore();
    globalThis.WebSocket = before;
    await server.stop();
    rmSync(folder, { recursive: true });
  }
  assert.equal(`${printed.join("\n")}\n`, blocks("text").join(""));
});
