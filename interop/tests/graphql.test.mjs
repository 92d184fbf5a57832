// graphql-ws and graphql-sse, and fetch.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import WebSocket from "ws";

const url = `${process.env.BASE}/graphql`;
const ws = createWs({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: { who: "interop" } });
const distinct = createSse({ url });
// A refusal would be tried again five times, for half a minute.
const single = createSse({ url, singleConnection: true, retryAttempts: 0 });
after(() => (ws.dispose(), distinct.dispose(), single.dispose()));
const QUERY = "{ user(id: 42) { name orders(last: 2) { id items { productName } } } }";
const STREAM = "subscription { listUsers(pageSize: 30) { id } }";

test("fetch", async () => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query: QUERY }),
  });
  assert.equal(answer.headers.get("content-type").split(";")[0], "application/graphql-response+json");
  assert.equal((await answer.json()).data.user.orders.length, 2);
});

for (const [name, client] of Object.entries({ "graphql-ws": ws, "graphql-sse, distinct": distinct, "graphql-sse, single": single })) {
  const all = (query) =>
    new Promise((resolve, reject) => {
      const results = [];
      client.subscribe(
        { query },
        { next: (result) => results.push(result), error: reject, complete: () => resolve(results) },
      );
    });

  test(`${name}: a query`, async () => {
    const [result] = await all(QUERY);
    assert.equal(result.data.user.name, "Alice");
  });

  test(`${name}: a subscription`, async () => {
    const results = await all(STREAM);
    assert.equal(results.length, 30);
    assert.equal(results[0].data.listUsers.id, "1");
  });

  test(`${name}: an error of a field`, async () => {
    const [result] = await all("{ user(id: 4242) { name } }");
    assert.equal(result.data.user, null);
    assert.equal(result.errors[0].extensions.reason, "USER_NOT_FOUND");
  });

  test(`${name}: a document that is wrong`, async () => {
    const wrong = await all("{ nothing }").catch((caught) => caught);
    // On a shared stream it is refused where it is asked for, by status.
    const expected = client === single ? /400/ : /nothing/;
    assert.match(JSON.stringify(wrong.message ?? wrong), expected);
  });
}
