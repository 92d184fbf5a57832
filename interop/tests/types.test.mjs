// What tsc makes of the AppRouter that polywire writes, and of the client's own types: a wrong call does not compile.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"];

for (const args of [["types/calls.ts", "--skipLibCheck"], ["types/client.ts"]]) {
  test(`${args[0]}: right calls compile, wrong ones do not`, () => {
    const done = spawnSync("node_modules/.bin/tsc", [...flags, ...args], { encoding: "utf8" });
    assert.equal(done.stdout + done.stderr, "");
    assert.equal(done.status, 0);
  });
}

