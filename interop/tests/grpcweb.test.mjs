// grpc-web, the official client, binary and text, with an XMLHttpRequest for Node.
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import xhr2 from "xhr2";
import grpcWeb from "grpc-web";
import { GetUserRequestSchema, ListUsersRequestSchema, UserSchema } from "../generated/user_pb.js";

globalThis.XMLHttpRequest = xhr2;

const descriptor = (name, type, request) =>
  new grpcWeb.MethodDescriptor(
    `/user.UserService/${name}`,
    type,
    Object,
    Object,
    (message) => toBinary(request, create(request, message)),
    (bytes) => fromBinary(UserSchema, bytes),
  );
const getUser = descriptor("GetUser", grpcWeb.MethodType.UNARY, GetUserRequestSchema);
const listUsers = descriptor("ListUsers", grpcWeb.MethodType.SERVER_STREAMING, ListUsersRequestSchema);

for (const format of ["text", "binary"]) {
  const client = new grpcWeb.GrpcWebClientBase({ format });
  const url = (method) => process.env.BASE + method.getName();

  test(`${format}: unary`, async () => {
    const alice = await client.thenableCall(url(getUser), { id: 42 }, {}, getUser);
    assert.equal(alice.name, "Alice");
  });

  test(`${format}: an error`, async () => {
    const error = await client.thenableCall(url(getUser), { id: 4242 }, {}, getUser).catch((caught) => caught);
    assert.deepEqual([error.code, error.message], [5, "no user 4242"]);
  });
}

test("text: a server stream", async () => {
  const client = new grpcWeb.GrpcWebClientBase({ format: "text" });
  const stream = client.serverStreaming(process.env.BASE + listUsers.getName(), { pageSize: 50 }, {}, listUsers);
  const names = [];
  const status = await new Promise((resolve, reject) => {
    stream.on("data", (user) => names.push(user.name));
    stream.on("status", resolve);
    stream.on("error", reject);
  });
  assert.equal(status.code, 0);
  assert.equal(names.length, 50);
});
