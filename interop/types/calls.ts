// Each line below an expect-error must be refused: tsc fails where one compiles.
import { createTRPCClient, httpBatchLink, TRPCClientError } from "@trpc/client";
import type { AppRouter } from "../generated/contract/router.js";
const c = createTRPCClient<AppRouter>({ links: [httpBatchLink({ url: "http://x/trpc" })] });
async function f() {
  const u = await c.user.getUser.query({ id: 42 });
  const name: string = u.name; const age: number | null = u.age;
  await c.user.getUser.query({ id: "42" });
  await c.user.createUser.mutate({ name: "Bob", email: "b@x.org" });
  c.order.watchOrders.subscribe({ user_id: 42 }, { onData: (o) => { const s: string = o.status; return s + o.items[0]!.product_name; } });
  try { await c.user.deleteUser.mutate({ id: 1 }); } catch (e) { if (e instanceof TRPCClientError) console.log((e as TRPCClientError<AppRouter>).data?.reason); }
  // @ts-expect-error a query is not mutated
  await c.user.getUser.mutate({ id: 42 });
  // @ts-expect-error no such field
  await c.user.getUser.query({ id: 42 }).then((x) => x.nope);
  // @ts-expect-error id is missing
  await c.user.getUser.query({});
  // @ts-expect-error no such procedure
  await c.user.getUsr.query({ id: 42 });
  // @ts-expect-error a number is no name
  await c.user.createUser.mutate({ name: 3, email: "b@x.org" });
  return [name, age];
}
void f();
