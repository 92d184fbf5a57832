// What the pages of the demo share.

export const $ = (id) => document.getElementById(id);

/** An element with texts and elements in it; texts are shown, never read as HTML. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for pictures. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** One more line at the end of a list, which keeps its last 200 and stays scrolled down where it was. */
export function append(list, line) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  while (list.childElementCount > 200) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

export function timeOf(seconds) {
  const when = new Date(seconds * 1000);
  return element("time", { datetime: when.toISOString() }, when.toLocaleTimeString());
}

export function message({ user, text, timestamp }, mine = false) {
  const line = element("li", mine ? { class: "mine" } : {});
  line.append(timeOf(timestamp), element("span", { class: "from" }, user), text);
  return line;
}

export function show(state, text = state) {
  const badge = $("state");
  badge.dataset.state = state;
  badge.textContent = text;
}

const TEXTS = { waiting: "reconnecting", leaving: "the server goes away", closed: "disconnected" };

/** Show what becomes of a client's connection. */
export function follow(client) {
  const told = () => {
    const { state, transport } = client;
    show(state, state === "open" ? `connected by ${transport}` : (TEXTS[state] ?? state));
  };
  client.addEventListener("state", told);
  told();
}

/** Resolves while somebody looks: over HTTP/1.1 a browser has six connections for all pages, hidden ones too. */
export async function seen() {
  while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Read server-sent events by the browser's own EventSource, while the page is seen. It comes back by itself when its
 * connection is lost, but not from an answer that is an error.
 */
export async function listen(url, event, heard, opened = () => {}) {
  for (;;) {
    await seen();
    show("connecting");
    const events = new EventSource(url);
    events.addEventListener(event, ({ data }) => heard(JSON.parse(data)));
    await new Promise((done) => {
      events.onopen = () => {
        show("open", "connected by sse");
        opened();
      };
      events.onerror = () => {
        show("waiting", "reconnecting");
        if (events.readyState === EventSource.CLOSED) pause(2000).then(done);
      };
      document.addEventListener("visibilitychange", done, { once: true });
    });
    events.close();
  }
}

/** A text that is kept for the next visit, in this tab. */
export function remembered(input, key, fallback) {
  input.value = new URLSearchParams(location.search).get(key) ?? sessionStorage.getItem(key) ?? fallback;
  input.addEventListener("change", () => sessionStorage.setItem(key, input.value));
}

export const guest = () => `guest-${Math.floor(Math.random() * 9000 + 1000)}`;

export async function json(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error((await answer.json()).error?.message ?? answer.statusText);
  return answer.status === 204 ? null : answer.json();
}

export const post = (url, body) =>
  json(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
