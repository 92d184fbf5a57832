// @trpc/client, unchanged, over each of its links.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  httpBatchStreamLink,
  httpLink,
  httpSubscriptionLink,
  wsLink,
} from "@trpc/client";
import { EventSource } from "eventsource";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket;
const url = `${process.env.BASE}/trpc`;
const socket = createWSClient({
  url: url.replace("http", "ws"),
  connectionParams: () => ({ authorization: "Bearer anybody" }),
  keepAlive: { enabled: true },
});
after(() => socket.close());
const client = (link) => createTRPCClient({ links: [link] });
const unary = {
  httpLink: client(httpLink({ url })),
  httpBatchLink: client(httpBatchLink({ url })),
  httpBatchStreamLink: client(httpBatchStreamLink({ url })),
  wsLink: client(wsLink({ client: socket })),
};

for (const [name, trpc] of Object.entries(unary)) {
  test(`${name}: queries and mutations`, async () => {
    assert.equal((await trpc.user.getUser.query({ id: 42 })).name, "Alice");
    const many = await Promise.all([1, 42, 3].map((id) => trpc.user.getUser.query({ id: String(id) })));
    assert.deepEqual(many.map((user) => user.id), [1, 42, 3]);
    const email = `${name}-${process.pid}@example.com`;
    const made = await trpc.user.createUser.mutate({ name: "Bob", email });
    assert.equal(made.age, null);
    assert.equal(await trpc.user.deleteUser.mutate({ id: made.id }), undefined);
  });

  test(`${name}: errors`, async () => {
    const error = await trpc.user.getUser.query({ id: 4242 }).catch((caught) => caught);
    assert.equal(error.message, "no user 4242");
    assert.deepEqual([error.data.code, error.data.httpStatus, error.data.reason], ["NOT_FOUND", 404, "USER_NOT_FOUND"]);
    const invalid = await trpc.user.createUser.mutate({ name: "", email: "x" }).catch((caught) => caught);
    assert.equal(invalid.data.code, "UNPROCESSABLE_CONTENT");
    const unknown = await trpc.user.nothing.query().catch((caught) => caught);
    assert.equal(unknown.data.code, "NOT_FOUND");
  });
}

const streams = {
  httpSubscriptionLink: client(httpSubscriptionLink({ url, EventSource })),
  wsLink: client(wsLink({ client: socket })),
};

for (const [name, trpc] of Object.entries(streams)) {
  const all = (procedure, input) =>
    new Promise((resolve, reject) => {
      const items = [];
      procedure.subscribe(input, {
        onData: (item) => items.push(item),
        onError: reject,
        onComplete: () => resolve(items),
      });
    });

  test(`${name}: a subscription to its end`, async () => {
    const users = await all(trpc.user.listUsers, { page_size: 70 });
    assert.equal(users.length, 70);
  });

  test(`${name}: tracked items, and going on after one`, async () => {
    const build = await unary.httpLink.builds.startBuild.mutate({ project: "interop" });
    const seen = await all(trpc.builds.watchBuild, { id: build.id });
    assert.ok(seen.length > 1);
    const rest = await all(trpc.builds.watchBuild, { id: build.id, lastEventId: seen[0].id });
    assert.deepEqual(rest.map((item) => item.id), seen.slice(1).map((item) => item.id));
  });

  test(`${name}: leaving early`, async () => {
    await new Promise((resolve, reject) => {
      const subscription = trpc.weather.subscribeWeather.subscribe(
        { city_code: "LON" },
        { onData: () => resolve(subscription.unsubscribe()), onError: reject },
      );
    });
  });
}
