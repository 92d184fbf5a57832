// What runs in the page: one call of each dialect that a browser can speak. Bundled by tests/browser.test.mjs.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createTRPCClient, createWSClient, httpBatchLink, httpSubscriptionLink, wsLink } from "@trpc/client";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import { UserService } from "../generated/user_pb.js";

const first = (client, query) =>
  new Promise((resolve, reject) => {
    client.subscribe({ query }, { next: resolve, error: reject, complete: () => {} });
  });
const subscribed = (procedure, input) =>
  new Promise((resolve, reject) => {
    const subscription = procedure.subscribe(input, {
      onData: (item) => (subscription.unsubscribe(), resolve(item)),
      onError: reject,
    });
  });

globalThis.calls = (base) => {
  const ws = base.replace("http", "ws");
  const query = "{ user(id: 42) { name } }";
  const users = (transport) => createClient(UserService, transport);
  const trpc = createTRPCClient({ links: [httpBatchLink({ url: `${base}/trpc` })] });
  const events = createTRPCClient({ links: [httpSubscriptionLink({ url: `${base}/trpc` })] });
  const list = async (client) => {
    for await (const user of client.listUsers({ pageSize: 1 })) return user.name;
  };
  return {
    REST: async () => (await (await fetch(`${base}/v1/users/42`)).json()).name,
    "REST, PATCH": async () => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${base}/v1/users/42`, { method: "PATCH", headers, body: '{"age":30}' });
      return (await answer.json()).name;
    },
    "EventSource": () =>
      new Promise((resolve, reject) => {
        const source = new EventSource(`${base}/v1/users/stream?page_size=1`);
        source.onmessage = (event) => (source.close(), resolve(JSON.parse(event.data).name));
        source.onerror = () => reject(new Error("the stream failed"));
      }),
    Connect: async () => (await users(createConnectTransport({ baseUrl: base })).getUser({ id: 42 })).name,
    "Connect, GET": async () =>
      (await users(createConnectTransport({ baseUrl: base, useHttpGet: true })).getUser({ id: 42 })).name,
    "Connect, stream": () => list(users(createConnectTransport({ baseUrl: base }))),
    "gRPC-Web": async () => (await users(createGrpcWebTransport({ baseUrl: base })).getUser({ id: 42 })).name,
    "gRPC-Web, stream": () => list(users(createGrpcWebTransport({ baseUrl: base }))),
    GraphQL: async () => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${base}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
      return (await answer.json()).data.user.name;
    },
    "graphql-ws": async () => (await first(createWs({ url: `${ws}/graphql` }), query)).data.user.name,
    "graphql-sse": async () => (await first(createSse({ url: `${base}/graphql` }), query)).data.user.name,
    tRPC: async () => (await trpc.user.getUser.query({ id: 42 })).name,
    "tRPC, SSE": async () => (await subscribed(events.user.listUsers, { page_size: 1 })).name,
    "tRPC, WebSocket": async () => {
      const client = createWSClient({ url: `${ws}/trpc` });
      const found = await createTRPCClient({ links: [wsLink({ client })] }).user.getUser.query({ id: 42 });
      await client.close();
      return found.name;
    },
  };
};

globalThis.callAll = async (base) => {
  const results = {};
  for (const [name, call] of Object.entries(globalThis.calls(base))) {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in 10 s")), 10_000));
    results[name] = await Promise.race([call(), late]).catch((error) => `failed: ${error.message ?? error}`);
  }
  return results;
};
