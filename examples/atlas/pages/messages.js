import { $, append, guest, json, message, post, remembered, show } from "./demo.js";

remembered($("user"), "user", guest());

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const lastId = (messages, since) => messages.reduce((last, { id }) => Math.max(last, id), since);

function count(id) {
  $(id).textContent = Number($(id).textContent) + 1;
}

async function poll(name, query, wait) {
  let since = 0;
  for (;;) {
    try {
      const messages = await json(`/api/messages?since=${since}${query}`);
      count(`${name}-count`);
      if (!messages.length) count(`${name}-empty`);
      for (const one of messages) append($(name), message(one, one.user === $("user").value));
      since = lastId(messages, since);
      await pause(wait);
    } catch {
      await pause(2000);
    }
  }
}

poll("short", "", 2000);
poll("long", "&wait=true", 0);

const values = [];
const events = new EventSource("/api/events");
events.onopen = () => show("open", "connected by sse");
events.onerror = () => show("waiting", "reconnecting");
events.onmessage = ({ data }) => {
  const { value } = JSON.parse(data);
  values.push(value);
  if (values.length > 60) values.shift();
  $("value").textContent = value.toFixed(2);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", values.map((one, place) => `${300 - (values.length - place) * 5},${100 - one}`).join(" "));
  $("events").replaceChildren(line);
};

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
