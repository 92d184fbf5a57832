// What an editor knows of the client. Each line below an expect-error must be refused: tsc fails where one compiles.
import { Client, connect, PolywireError, type Gap, type StateDetail, type Stream } from "../generated/polywire.js";

interface User { id: number; name: string }
interface Tick { symbol: string; price: number }

const client: Client = connect("https://example.com", {
  token: async () => "t",
  transports: ["websocket", "sse"],
  backoff: { firstMs: 100 },
});
connect();
client.addEventListener("state", ({ detail }) => {
  const { state, transport, error }: StateDetail = detail;
  return [state === "open", transport === "polling", error?.reason];
});

async function f(control: AbortController) {
  const user = await client.call<User>("user.UserService/GetUser", { id: 42 }, { timeout: 1000, signal: control.signal });
  const name: string = user.name;
  for await (const one of client.stream<User>("user.UserService/ListUsers", {}, { after: "e:1" })) one.id.toFixed();
  async function* users() { yield { id: 1, name: "Alice" }; }
  await client.call("user.UserService/Upload", users());
  const chat: Stream<User> = client.stream("user.UserService/Chat", users());
  const last: string | undefined = chat.position;
  for await (const event of client.subscribe<Tick>("topics.Prices", { symbol: "ACME" }, { last: 3, onGap: (gap: Gap) => gap.reason })) {
    event.data?.price.toFixed();
    // @ts-expect-error data may be missing
    event.data.price;
  }
  try { await client.call("a.B/C"); } catch (error) {
    if (error instanceof PolywireError && error.code === "NOT_FOUND") return error.details;
    // @ts-expect-error no such code
    if (error instanceof PolywireError && error.code === "NOTFOUND") return null;
  }
  // @ts-expect-error no such transport
  connect("x", { transports: ["pigeon"] });
  // @ts-expect-error an input is a message
  await client.call("a.B/C", 3);
  // @ts-expect-error no such field
  user.nope;
  // @ts-expect-error the state is read only
  client.state = "open";
  client.close();
  return [name, last];
}
void f;
