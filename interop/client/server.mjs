// A polywire server that can be stopped and started again, and what stands between it and a client.
import { spawn } from "node:child_process";
import { createServer as createHttp, request } from "node:http";
import { connect as connectTcp, createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const python = join(here, "..", "..", ".venv", "bin", "python");
const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

/** Serves client/app.py or another file, on the same port whenever it is started. */
export class Server {
  constructor(environment = {}, file = join(here, "app.py")) {
    this.file = file;
    this.environment = { ...process.env, ...environment };
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    if (this.port === undefined) {
      const probe = createServer();
      this.port = await listen(probe);
      await new Promise((resolve) => probe.close(resolve));
    }
    const args = ["-m", "polywire.cli", "serve", `${this.file}:app`, "--port", String(this.port), "--no-access-log"];
    this.process = spawn(python, args, { env: this.environment, stdio: ["ignore", "ignore", "pipe"] });
    await new Promise((resolve, reject) => {
      this.said = "";
      this.process.stderr.on("data", (part) => {
        this.said += part;
        if (this.said.includes("on http://")) resolve();
      });
      this.process.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${this.said}`)));
    });
    return this;
  }

  async stop(signal = "SIGTERM") {
    if (this.process?.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await ended;
  }
}

/** Passes bytes on, until it cuts: each connection after `cutAfter()` bytes from the server, or all at once. */
export class FaultyProxy {
  cutAfter = () => Infinity;
  connections = 0;
  #open = new Set();

  async start(port) {
    this.server = createServer((client) => {
      this.connections++;
      const upstream = connectTcp(port, "127.0.0.1");
      let left = this.cutAfter();
      const end = () => {
        client.destroy();
        upstream.destroy();
        this.#open.delete(end);
      };
      this.#open.add(end);
      client.on("data", (data) => upstream.write(data));
      upstream.on("data", (data) => {
        client.write(data.subarray(0, left));
        left -= data.length;
        if (left <= 0) client.end(end);
      });
      for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
    });
    this.port = await listen(this.server);
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  cut() {
    for (const end of [...this.#open]) end();
  }

  stop() {
    this.cut();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

/** An HTTP proxy that takes no WebSockets. holds: it keeps every answer back until it is complete. */
export class HttpProxy {
  holds = false;
  /** "POST /rpc/..." of each request. */
  seen = [];

  async start(port) {
    this.server = createHttp((asked, answer) => {
      this.seen.push(`${asked.method} ${asked.url}`);
      const { method, url: path, headers } = asked;
      const passed = request({ port, host: "127.0.0.1", method, path, headers }, (got) => {
        if (!this.holds) {
          answer.writeHead(got.statusCode, got.headers).flushHeaders();
          got.on("error", () => answer.destroy()).pipe(answer);
          return;
        }
        const parts = [];
        got.on("data", (part) => parts.push(part)).on("error", () => answer.destroy());
        got.on("end", () => answer.writeHead(got.statusCode, got.headers).end(Buffer.concat(parts)));
      });
      passed.on("error", () => answer.headersSent ? answer.destroy() : answer.writeHead(502).end());
      answer.on("close", () => passed.destroy());
      asked.pipe(passed);
    });
    this.server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"));
    this.port = await listen(this.server);
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
