// @connectrpc/connect-node: Connect, gRPC and gRPC-Web, every shape of stream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Greeter } from "../generated/hello_pb.js";
import { UserService } from "../generated/user_pb.js";
import { WeatherService } from "../generated/weather_pb.js";

const baseUrl = process.env.BASE;
const transports = {
  "Connect, HTTP/1.1, protobuf": createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect, HTTP/1.1, JSON": createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect, HTTP/1.1, GET": createConnectTransport({ baseUrl, httpVersion: "1.1", useHttpGet: true }),
  "Connect, HTTP/2": createConnectTransport({ baseUrl, httpVersion: "2" }),
  "gRPC": createGrpcTransport({ baseUrl }),
  "gRPC, JSON": createGrpcTransport({ baseUrl, useBinaryFormat: false }),
  "gRPC-Web, HTTP/1.1": createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web, HTTP/2": createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
};

async function* of(...items) {
  yield* items;
}

for (const [name, transport] of Object.entries(transports)) {
  const users = createClient(UserService, transport);
  const greeter = createClient(Greeter, transport);
  const weather = createClient(WeatherService, transport);

  test(`${name}: unary`, async () => {
    assert.equal((await greeter.sayHello({ name: "Bob", language: "es" })).message, "¡Hola, Bob!");
    const headers = {};
    const alice = await users.getUser({ id: 42 }, { onHeader: (h) => (headers.type = h.get("content-type")) });
    assert.deepEqual([alice.name, alice.roles], ["Alice", ["admin", "member"]]);
    assert.ok(headers.type);
  });

  test(`${name}: an error has its code, reason and details`, async () => {
    const error = await users.getUser({ id: 4242 }).catch((caught) => ConnectError.from(caught));
    assert.equal(error.code, Code.NotFound);
    assert.equal(error.rawMessage, "no user 4242");
    assert.equal(error.details[0].type, "google.rpc.ErrorInfo");
    const invalid = await users.createUser({ name: "", email: "nope" }).catch((caught) => ConnectError.from(caught));
    assert.equal(invalid.code, Code.InvalidArgument);
  });

  test(`${name}: a server stream`, async () => {
    const names = [];
    for await (const user of users.listUsers({ pageSize: 120 })) names.push(user.name);
    assert.ok(names.length >= 100);
    assert.equal(names[41], "Alice");
  });

  test(`${name}: a client stream`, async () => {
    const reports = [10, 20, 60].map((temperature) => ({ temperature, humidity: 50 }));
    assert.equal((await weather.reportBatch(of(...reports))).temperature, 30);
  });

  test(`${name}: a deadline`, async () => {
    const error = await (async () => {
      for await (const _ of greeter.sayHelloStream({ name: "Bob" }, { timeoutMs: 300 }));
    })().catch((caught) => ConnectError.from(caught));
    assert.equal(error.code, Code.DeadlineExceeded);
  });

  if (!name.includes("HTTP/1.1")) {
    test(`${name}: a bidirectional stream`, async () => {
      let answered;
      const heard = new Promise((resolve) => (answered = resolve));
      async function* says() {
        yield { name: "Ann" };
        await heard; // the answer to the first comes before the second is sent
        yield { name: "Bob", language: "fr" };
      }
      const messages = [];
      for await (const reply of greeter.chat(says())) {
        messages.push(reply.message);
        answered();
      }
      assert.deepEqual(messages, ["Hey, Ann!", "Salut, Bob!"]);
    });
  }
}
