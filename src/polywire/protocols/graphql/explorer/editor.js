// A text area over its own colours: the browser edits, the layer beneath shows.

import { el } from "./dom.js";
import { colours } from "./language.js";

const PAIRS = { "{": "}", "(": ")", "[": "]" };
const LONGEST_COLOURED = 200_000;

export const coloured = (text, language) => text.length > LONGEST_COLOURED ? [text]
  : colours(text, language).map(([kind, part]) => (kind ? el("span", { class: `t-${kind}` }, part) : part));

export class Editor {
  // complete(text, cursor): {from, options}; onchange(text).
  constructor(root, { language, label, placeholder, complete, onchange }) {
    this.language = language;
    this.complete = complete;
    this.onchange = onchange;
    this.layer = el("pre", { class: "layer", "aria-hidden": "true" });
    this.gutter = el("pre", { class: "gutter", "aria-hidden": "true" });
    this.area = el("textarea", { spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": label, placeholder, wrap: "off" });
    this.list = el("ul", { class: "options", role: "listbox", hidden: true });
    root.classList.add("editor");
    root.append(this.gutter, el("div", { class: "sheet" }, this.layer, this.area, this.list));
    this.options = [];
    this.chosen = 0;
    this.area.addEventListener("input", (event) => this.changed(event));
    this.area.addEventListener("scroll", () => this.scrolled());
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("blur", () => this.hide());
    this.area.addEventListener("click", () => this.hide());
    this.draw();
  }

  get text() { return this.area.value; }

  set text(value) {
    this.area.value = value;
    this.draw();
    this.onchange?.(value);
  }

  get cursor() { return this.area.selectionStart; }

  draw() {
    // The last line has no height of its own without something in it.
    this.layer.replaceChildren(...coloured(this.text, this.language), "\n");
    const lines = this.text.split("\n").length;
    this.gutter.textContent = Array.from({ length: lines }, (_, place) => place + 1).join("\n");
    this.scrolled();
  }

  scrolled() {
    this.layer.scrollTop = this.gutter.scrollTop = this.area.scrollTop;
    this.layer.scrollLeft = this.area.scrollLeft;
  }

  changed(event) {
    this.draw();
    this.onchange?.(this.text);
    const typed = event.data;
    if (this.complete && typed && /[\w$@]$/.test(typed)) this.suggest();
    else this.hide();
  }

  // Typed as if by hand, so that the browser's own undo knows of it.
  insert(text, from = this.area.selectionStart, to = this.area.selectionEnd) {
    this.area.focus();
    this.area.setSelectionRange(from, to);
    if (!document.execCommand("insertText", false, text)) this.area.setRangeText(text, from, to, "end");
    this.draw();
    this.onchange?.(this.text);
  }

  key(event) {
    if (!this.list.hidden && this.keyInList(event)) return;
    const { selectionStart: start, selectionEnd: end } = this.area;
    if (event.ctrlKey && event.key === " ") {
      event.preventDefault();
      this.suggest();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (event.key === "Tab" && !event.shiftKey && !this.leaving) {
      event.preventDefault();
      this.insert("  ");
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.newLine(start);
    } else if (PAIRS[event.key]) {
      event.preventDefault();
      const inner = this.text.slice(start, end);
      this.insert(event.key + inner + PAIRS[event.key]);
      this.area.setSelectionRange(start + 1, start + 1 + inner.length);
      this.hide();
    } else if (Object.values(PAIRS).includes(event.key) && start === end && this.text[start] === event.key) {
      event.preventDefault();
      this.area.setSelectionRange(start + 1, start + 1);
    }
    // Escape lets the next Tab go on to the next element, for those who have no mouse.
    this.leaving = event.key === "Escape";
  }

  newLine(start) {
    const line = this.text.slice(this.text.lastIndexOf("\n", start - 1) + 1, start);
    const indent = /^ */.exec(line)[0];
    const opens = /[{([]$/.test(line.trimEnd());
    const closes = opens && /^[})\]]/.test(this.text.slice(this.area.selectionEnd));
    this.insert(`\n${indent}${opens ? "  " : ""}${closes ? `\n${indent}` : ""}`);
    if (closes) {
      const at = start + 1 + indent.length + 2;
      this.area.setSelectionRange(at, at);
    }
  }

  // Completion

  suggest() {
    const { from, options } = this.complete ? this.complete(this.text, this.cursor) : { from: 0, options: [] };
    this.options = options.slice(0, 50);
    this.from = from;
    this.chosen = 0;
    if (!this.options.length) {
      this.hide();
      return;
    }
    this.list.replaceChildren(...this.options.map((one, place) => el("li", { role: "option", "aria-selected": place === 0,
      onmousedown: (event) => { event.preventDefault(); this.chosen = place; this.take(); } },
      el("span", { class: "name" }, one.label), el("span", { class: "type" }, one.detail || ""),
      one.description ? el("span", { class: "about" }, one.description.split("\n")[0]) : null)));
    this.list.hidden = false;
    this.move();
  }

  // Beneath the word that is being typed; above it where there is more room.
  move() {
    const before = this.text.slice(0, this.from).split("\n");
    const style = getComputedStyle(this.area);
    const lineHeight = parseFloat(style.lineHeight);
    const width = this.characterWidth(style.font);
    const left = parseFloat(style.paddingLeft) + before[before.length - 1].length * width - this.area.scrollLeft;
    const top = parseFloat(style.paddingTop) + before.length * lineHeight - this.area.scrollTop;
    this.list.style.left = `${Math.max(0, Math.min(left, this.area.clientWidth - this.list.offsetWidth))}px`;
    const isBelow = top + this.list.offsetHeight < this.area.clientHeight || top < this.area.clientHeight / 2;
    this.list.style.top = isBelow ? `${top}px` : `${top - lineHeight - this.list.offsetHeight}px`;
  }

  characterWidth(font) {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.font = font;
    return canvas.measureText("0".repeat(100)).width / 100;
  }

  hide() {
    this.list.hidden = true;
  }

  keyInList(event) {
    if (event.ctrlKey || event.metaKey) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : this.options.length - 1;
      this.choose((this.chosen + step) % this.options.length);
    } else if (event.key === "Enter" || event.key === "Tab") this.take();
    else if (event.key === "Escape") this.hide();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  choose(place) {
    this.list.children[this.chosen].setAttribute("aria-selected", "false");
    this.chosen = place;
    const item = this.list.children[place];
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({ block: "nearest" });
  }

  take() {
    const one = this.options[this.chosen];
    this.hide();
    this.insert(one.insert || one.label, this.from, this.cursor);
    if (one.opens) {
      const at = this.cursor;
      this.insert("()");
      this.area.setSelectionRange(at + 1, at + 1);
      this.suggest();
    }
  }
}
