// What the pages of the demo share.

export const $ = (id) => document.getElementById(id);

/** An element with texts and elements in it; texts are shown, never read as HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
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

/** Show what becomes of a client's connection. */
export function follow(client) {
  const told = () => show(client.state, client.state === "open" ? `connected by ${client.transport}` : client.state);
  client.addEventListener("state", told);
  told();
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
