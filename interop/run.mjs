// Serves the demo, makes stubs of its contract, and lets foreign clients loose on it: node run.mjs [test files]
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const python = join(root, ".venv", "bin", "python");
const app = `${join(root, "examples", "atlas", "app.py")}:app`;
const scratch = mkdtempSync(join(tmpdir(), "polywire-interop-"));
const generated = join(here, "generated");

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", ...options });
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const [port, allowedPort, foreignPort] = [await freePort(), await freePort(), await freePort()];
const environment = {
  ...process.env,
  ATLAS_DATABASE_URL: `sqlite:///${join(scratch, "atlas.db")}`,
  ATLAS_FILES: join(scratch, "files"),
  ATLAS_LOG: join(scratch, "atlas.log"),
  ATLAS_ORIGINS: `http://127.0.0.1:${allowedPort}`,
};

// Stubs, of the contract that polywire writes.
rmSync(generated, { recursive: true, force: true });
const contract = join(generated, "contract");
run(python, ["-m", "polywire.cli", "contract", "write", app, "--to", contract], { env: environment });
const protos = readdirSync(contract).filter((name) => name.endsWith(".proto"));
const plugin = join(here, "node_modules", ".bin", "protoc-gen-es");
run(python, [
  ...["-m", "grpc_tools.protoc", `-I${contract}`, `--plugin=protoc-gen-es=${plugin}`],
  ...[`--es_out=${generated}`, "--es_opt=target=js,import_extension=js", ...protos],
]);

const server = spawn(python, ["-m", "polywire.cli", "serve", app, "--port", String(port), "--no-access-log"], {
  cwd: scratch,
  env: environment,
  stdio: ["ignore", "ignore", "pipe"],
});
await new Promise((resolve, reject) => {
  let said = "";
  server.stderr.on("data", (part) => {
    said += part;
    if (said.includes("on http://")) resolve();
  });
  server.on("exit", (code) => reject(new Error(`the demo ended with ${code}:\n${said}`)));
});
let status = 1;
try {
  // Its parts, too: beneath this folder Node.js takes them for modules.
  cpSync(join(root, "src", "polywire", "protocols", "javascript"), join(generated, "client"), { recursive: true });
  for (const name of ["polywire.js", "polywire.d.ts"]) {
    writeFileSync(join(generated, name), await (await fetch(`http://127.0.0.1:${port}/${name}`)).text());
  }
  const tests = process.argv.slice(2);
  const files = tests.length ? tests : readdirSync(join(here, "tests")).map((name) => join(here, "tests", name));
  const done = spawnSync(process.execPath, ["--test", "--test-force-exit", "--test-reporter=spec", "--test-concurrency=2", ...files], {
    cwd: here,
    stdio: ["ignore", "inherit", "inherit"],
    timeout: 300_000,
    env: {
      ...environment,
      BASE: `http://127.0.0.1:${port}`,
      ALLOWED_PORT: String(allowedPort),
      FOREIGN_PORT: String(foreignPort),
    },
  });
  status = done.status ?? 1;
} finally {
  server.removeAllListeners("exit");
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await ended;
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(status);
