import { $, append, drawn, guest, json, listen, message, pause, post, remembered, seen, show } from "./demo.js";

remembered($("user"), "user", guest());

const lastId = (messages, since) => messages.reduce((last, { id }) => Math.max(last, id), since);

function count(id) {
  $(id).textContent = Number($(id).textContent) + 1;
}

async function poll(name, query, wait) {
  let since = 0;
  for (;;) {
    await seen();
    const hidden = new AbortController();
    const abort = () => hidden.abort();
    document.addEventListener("visibilitychange", abort, { once: true });
    try {
      const messages = await json(`/api/messages?since=${since}${query}`, { signal: hidden.signal });
      count(`${name}-count`);
      if (!messages.length) count(`${name}-empty`);
      for (const one of messages) append($(name), message(one, one.user === $("user").value));
      since = lastId(messages, since);
      await pause(wait);
    } catch {
      if (!hidden.signal.aborted) await pause(2000);
    } finally {
      document.removeEventListener("visibilitychange", abort);
    }
  }
}

poll("short", "", 2000);
poll("long", "&wait=true", 0);

const values = [];
listen("/api/events", "message", ({ value }) => {
  values.push(value);
  if (values.length > 60) values.shift();
  $("value").textContent = value.toFixed(2);
  const high = Math.ceil(Math.max(...values)) + 2;
  const low = Math.floor(Math.min(...values)) - 2;
  const y = (one) => 185 - ((one - low) / (high - low)) * 170;
  const points = values.map((one, place) => `${298 - (values.length - 1 - place) * 5},${y(one)}`).join(" ");
  const texts = [drawn("text", { x: 0, y: 9 }, String(high)), drawn("text", { x: 0, y: 199 }, String(low))];
  $("events").replaceChildren(drawn("polyline", { points }), ...texts);
});

$("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value;
  $("text").value = "";
  try {
    await post("/api/messages", { user: $("user").value, text });
  } catch (error) {
    $("text").value ||= text;
    show("closed", error.message);
  }
});
