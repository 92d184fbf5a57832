// A server that says what a test has it say, and the waits that the tests share.
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { connect } from "../generated/polywire.js";

/** Speaks the polywire WebSocket protocol. `on[method]` answers a call: (socket, message) => void; `hello` each token. */
export class FakeServer {
  on = {};
  hello = () => {};
  welcome = {};
  sockets = [];
  /** Messages in the order in which they came. */
  seen = [];
  #waiting = [];

  static async start() {
    const fake = new FakeServer();
    fake.http = createServer((_, answer) => answer.writeHead(503).end());
    fake.wss = new WebSocketServer({ server: fake.http });
    fake.wss.on("connection", (socket) => fake.#open(socket));
    await new Promise((resolve) => fake.http.listen(0, "127.0.0.1", resolve));
    fake.url = `http://127.0.0.1:${fake.http.address().port}`;
    return fake;
  }

  connect(options) {
    return connect(this.url, { WebSocket, transports: ["websocket"], backoff: { firstMs: 1, maxMs: 5 }, ...options });
  }

  /** Resolves with the first message that fits, of those that came and those that will. */
  async until(fits) {
    for (;;) {
      const found = this.seen.find(fits);
      if (found) return found;
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  stop() {
    for (const socket of this.sockets) socket.terminate();
    this.http.closeAllConnections();
    return new Promise((resolve) => this.http.close(resolve));
  }

  #open(socket) {
    this.sockets.push(socket);
    socket.say = (message) => socket.send(JSON.stringify(message));
    const limits = { message_bytes: 1 << 20, calls: 128, credit: 2 };
    socket.say({ type: "welcome", version: 1, session: "s", server: "f", heartbeat_s: 15, limits, ...this.welcome });
    socket.on("message", (data) => {
      const message = { ...JSON.parse(data), socket: this.sockets.indexOf(socket) };
      this.seen.push(message);
      if (message.type === "hello") this.hello(socket, message);
      if (message.type === "call") this.on[message.method]?.(socket, message);
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }
}

/** Resolves with the detail of the client's first change to a state. */
export const until = (client, state) =>
  new Promise((resolve) => {
    const listener = ({ detail }) => {
      if (detail.state !== state) return;
      client.removeEventListener("state", listener);
      resolve(detail);
    };
    client.addEventListener("state", listener);
  });

export const collect = async (items) => {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
};

/** What a promise is rejected with. */
export const failure = (promise) => promise.then((value) => Promise.reject(new Error(`no failure but ${value}`)), (error) => error);
