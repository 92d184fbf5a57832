// What came back: one answer, or the responses of a subscription one by one.

import { byId, el } from "./dom.js";
import { coloured } from "./editor.js";

const MOST_SHOWN = 200;

const pretty = (text) => {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};
const size = (text) => (text.length < 1024 ? `${text.length} B` : `${(text.length / 1024).toFixed(1)} KB`);

export class Answers {
  constructor() {
    this.body = byId("answer");
    this.line = byId("outcome");
  }

  say(kind, ...parts) {
    this.line.replaceChildren(el("span", { class: `status ${kind}` }, parts[0]), ...parts.slice(1).map((part) => el("span", { class: "muted" }, part)));
  }

  // An answer of one piece.
  one({ status, text, ms }) {
    let errors = [];
    try { errors = JSON.parse(text).errors || []; } catch { /* no JSON: shown as it is */ }
    const isGood = status < 300 && !errors.length;
    this.say(isGood ? "good" : "wrong", status, `${Math.round(ms)} ms`, size(text));
    this.body.replaceChildren(...this.problems(errors), el("pre", {}, ...coloured(pretty(text), "json")));
  }

  problems(errors) {
    return errors.length ? [el("ul", { class: "problems" }, errors.slice(0, 20).map((error) => el("li", {},
      el("strong", {}, error.message), " ",
      error.extensions && error.extensions.code ? el("code", {}, [error.extensions.code, error.extensions.reason].filter(Boolean).join(" · ")) : null,
      error.path ? el("span", { class: "muted" }, ` at ${error.path.join(".")}`) : null,
      !error.path && error.locations ? el("span", { class: "muted" }, ` at line ${error.locations[0].line}, column ${error.locations[0].column}`) : null)))] : [];
  }

  failed(problem) {
    this.say("wrong", "failed");
    this.body.replaceChildren(el("p", { class: "problem" }, String(problem)));
  }

  // A subscription: responses from now on.
  begin() {
    this.count = 0;
    this.isGood = true;
    this.body.replaceChildren();
    this.say("good", "listening");
  }

  next(response) {
    this.count += 1;
    this.isGood = !response.errors;
    this.say(this.isGood ? "good" : "wrong", "listening", `${this.count} received`);
    const atEnd = this.count > 1 && this.body.scrollTop + this.body.clientHeight >= this.body.scrollHeight - 40;
    this.body.append(el("div", { class: "event" }, el("span", { class: "muted at" }, new Date().toLocaleTimeString()),
      ...this.problems(response.errors || []), el("pre", {}, ...coloured(JSON.stringify(response, null, 2), "json"))));
    while (this.body.childElementCount > MOST_SHOWN) this.body.firstElementChild.remove();
    if (atEnd) this.body.scrollTop = this.body.scrollHeight;
  }

  end(problem) {
    this.say(this.isGood && !problem ? "good" : "wrong", problem || "ended", `${this.count} received`);
  }
}
