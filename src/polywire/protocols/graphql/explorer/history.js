// What was run, the last first; the same twice stands once.

import { el, memory } from "./dom.js";
import { operations } from "./language.js";

const MOST = 50;

export class History {
  // onpick({query, variables})
  constructor(root, onpick) {
    this.root = root;
    this.onpick = onpick;
    try { this.entries = JSON.parse(memory.get("history")) || []; } catch { this.entries = []; }
    this.draw();
  }

  add(query, variables) {
    const entry = { query, variables, at: Date.now() };
    this.entries = [entry, ...this.entries.filter((one) => one.query !== query || one.variables !== variables)].slice(0, MOST);
    memory.set("history", JSON.stringify(this.entries));
    this.draw();
  }

  clear() {
    this.entries = [];
    memory.set("history", "[]");
    this.draw();
  }

  draw() {
    if (!this.entries.length) {
      this.root.replaceChildren(el("p", { class: "muted" }, "What you run is kept here, in this browser only."));
      return;
    }
    this.root.replaceChildren(...this.entries.map((entry) => {
      const [first] = operations(entry.query);
      const title = first && first.name ? `${first.kind} ${first.name}` : entry.query.replace(/\s+/g, " ").slice(0, 60);
      return el("button", { class: "past", type: "button", title: entry.query, onclick: () => this.onpick(entry) },
        el("span", { class: "name" }, title), el("span", { class: "muted" }, new Date(entry.at).toLocaleString()));
    }), el("button", { class: "small", type: "button", onclick: () => this.clear() }, "Clear"));
  }
}
