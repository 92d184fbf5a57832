// Text from the schema and from answers only ever becomes text nodes: it is shown, never run.

export const byId = (id) => document.getElementById(id);

export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// Paragraphs at blank lines and `code` between backticks: enough for descriptions, and no markup.
export const prose = (text) => String(text || "").trim().split(/\n\s*\n/).filter(Boolean)
  .map((paragraph) => el("p", {}, inline(paragraph)));
export const inline = (text) => String(text || "").split(/(`[^`\n]+`)/).map((part) =>
  part.length > 2 && part.startsWith("`") && part.endsWith("`") ? el("code", {}, part.slice(1, -1)) : part);

// What the page remembers; storage may be off, then nothing is.
export const memory = {
  get(key, store = localStorage) {
    try { return store.getItem(`polywire-graphql-${key}`); } catch { return null; }
  },
  set(key, value, store = localStorage) {
    try { store.setItem(`polywire-graphql-${key}`, value); } catch { /* kept for this page only */ }
  },
};
