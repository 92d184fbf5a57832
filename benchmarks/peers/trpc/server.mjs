// user.getUser with @trpc/server's standalone adapter: node server.mjs PORT
import { initTRPC } from "@trpc/server";
import { createHTTPServer } from "@trpc/server/adapters/standalone";

const t = initTRPC.create();
const input = (value) => {
  if (!Number.isInteger(value?.id) || value.id < 1) throw new Error("id must be a positive integer");
  return value;
};
const user = t.router({
  getUser: t.procedure
    .input(input)
    .query(({ input }) => ({ id: input.id, name: "Alice", email: "alice@example.com", age: 30 })),
});

createHTTPServer({ router: t.router({ user }), basePath: "/trpc/" }).listen(Number(process.argv[2]), "127.0.0.1");
