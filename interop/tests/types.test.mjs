// What tsc makes of the AppRouter that polywire writes: a wrong call does not compile.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

test("right calls compile, wrong ones do not", () => {
  const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"];
  const done = spawnSync("node_modules/.bin/tsc", [...flags, "types/calls.ts"], { encoding: "utf8" });
  assert.equal(done.stdout + done.stderr, "");
  assert.equal(done.status, 0);
});
