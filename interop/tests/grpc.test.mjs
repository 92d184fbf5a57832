// @grpc/grpc-js, by the .proto files alone.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const load = (file) =>
  grpc.loadPackageDefinition(loader.loadSync(file, { includeDirs: ["generated/contract"], keepCase: true }));
const { user } = load("user.proto");
const { hello } = load("hello.proto");
const address = process.env.BASE.replace("http://", "");
const users = new user.UserService(address, grpc.credentials.createInsecure());
const greeter = new hello.Greeter(address, grpc.credentials.createInsecure());
after(() => (users.close(), greeter.close()));

const unary = (client, method, request, options = {}) =>
  new Promise((resolve, reject) =>
    client[method](request, options, (error, answer) => (error ? reject(error) : resolve(answer))),
  );

test("unary", async () => {
  assert.equal((await unary(users, "GetUser", { id: 42 })).name, "Alice");
});

test("an error has status, message and details", async () => {
  const error = await unary(users, "GetUser", { id: 4242 }).catch((caught) => caught);
  assert.equal(error.code, grpc.status.NOT_FOUND);
  assert.equal(error.details, "no user 4242");
  assert.ok(error.metadata.get("grpc-status-details-bin")[0].includes("USER_NOT_FOUND"));
});

test("a deadline", async () => {
  const call = greeter.SayHelloStream({ name: "Bob" }, { deadline: Date.now() + 300 });
  const error = await new Promise((resolve) => call.on("data", () => {}).on("error", resolve));
  assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
});

test("a server stream", async () => {
  let count = 0;
  for await (const _ of users.ListUsers({ page_size: 90 })) count += 1;
  assert.equal(count, 90);
});

test("a client stream", async () => {
  const email = (name) => `${name}-${process.pid}@example.com`;
  const summary = await new Promise((resolve, reject) => {
    const call = users.UploadUsers((error, answer) => (error ? reject(error) : resolve(answer)));
    for (const name of ["ann", "bob", "ann"]) call.write({ name, email: email(name) });
    call.end();
  });
  assert.deepEqual([summary.created, summary.skipped], [2, 1]);
});

test("a bidirectional stream", async () => {
  const call = greeter.Chat();
  const replies = [];
  call.on("data", (reply) => {
    replies.push(reply.message);
    if (replies.length === 1) call.write({ name: "Bob" });
    else call.end();
  });
  call.write({ name: "Ann" });
  await new Promise((resolve, reject) => call.on("end", resolve).on("error", reject));
  assert.deepEqual(replies, ["Hey, Ann!", "Hey, Bob!"]);
});
