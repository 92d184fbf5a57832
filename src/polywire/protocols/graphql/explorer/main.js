// Puts the page together: what is written, how it is run, what came of it.

import { Answers } from "./answer.js";
import { completions } from "./context.js";
import { Docs, skeleton } from "./docs.js";
import { byId, memory } from "./dom.js";
import { Editor } from "./editor.js";
import { History } from "./history.js";
import { operations, prettified } from "./language.js";
import { QUESTION, Schema } from "./schema.js";
import { overEvents, overSocket, post } from "./transport.js";

const URL_HERE = location.pathname;
const GREETING = `# Write a query; Ctrl-Space completes, Ctrl-Enter runs.

{
  __typename
}
`;
let schema = null;
let stop = null;

const asked = new URLSearchParams(location.search);
const answers = new Answers();

const query = new Editor(byId("query"), {
  language: "graphql",
  label: "Query",
  complete: (text, cursor) => completions(text, cursor, schema),
  onchange: (text) => memory.set("query", text),
});
const variables = new Editor(byId("variables"), {
  language: "json", label: "Variables", placeholder: '{"id": 1}', onchange: (text) => memory.set("variables", text),
});
const headers = new Editor(byId("headers"), {
  language: "json", label: "Headers", placeholder: '{"authorization": "Bearer …"}',
  onchange: (text) => memory.set("headers", text, sessionStorage),
});
query.text = asked.get("query") || memory.get("query") || GREETING;
variables.text = asked.get("variables") || memory.get("variables") || "";
headers.text = memory.get("headers", sessionStorage) || "";

const past = new History(byId("history"), (entry) => {
  query.text = entry.query;
  variables.text = entry.variables;
  query.area.focus();
});
const docs = new Docs(byId("docs"), (kind, field) => {
  const made = skeleton(schema, kind, field);
  query.text = made.text;
  variables.text = Object.keys(made.variables).length ? JSON.stringify(made.variables, null, 2) : "";
  query.area.focus();
});

function objectIn(editor, what) {
  if (!editor.text.trim()) return {};
  let value;
  try { value = JSON.parse(editor.text); } catch (error) { throw new Error(`The ${what} are not JSON: ${error.message}`); }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(`The ${what} must be an object.`);
  return value;
}

// The operation at the cursor where there are several.
function chosen() {
  const all = operations(query.text);
  const at = query.cursor;
  return all.find((one) => one.start <= at && at <= one.end) || all[0] || { kind: "query", name: null };
}

async function run() {
  if (stop) {
    stop();
    return;
  }
  let request;
  let sent;
  const operation = chosen();
  try {
    request = { query: query.text, variables: objectIn(variables, "variables") };
    if (operation.name) request.operationName = operation.name;
    sent = Object.fromEntries(Object.entries(objectIn(headers, "headers")).map(([name, value]) => [name, String(value)]));
  } catch (error) {
    answers.failed(error.message);
    return;
  }
  past.add(query.text, variables.text);
  if (operation.kind === "subscription") {
    listen(request, sent);
    return;
  }
  const control = new AbortController();
  running(() => control.abort());
  try {
    answers.one(await post(URL_HERE, request, sent, control.signal));
  } catch (error) {
    answers.failed(control.signal.aborted ? "Stopped." : error);
  } finally {
    running(null);
  }
}

function listen(request, sent) {
  answers.begin();
  const over = byId("transport").value === "events" ? overEvents : overSocket;
  running(over(URL_HERE, request, sent, {
    next: (response) => answers.next(response),
    error: (problem) => { answers.end(problem); running(null); },
    end: () => { answers.end(); running(null); },
  }));
}

function running(how) {
  stop = how;
  byId("run").textContent = how ? "Stop" : "Run";
  byId("run").classList.toggle("stops", Boolean(how));
}

async function learn() {
  try {
    const sent = Object.fromEntries(Object.entries(objectIn(headers, "headers")).map(([name, value]) => [name, String(value)]));
    const { text } = await post(URL_HERE, { query: QUESTION }, sent);
    const { data, errors } = JSON.parse(text);
    if (!data) throw new Error(errors[0].message);
    schema = new Schema(data.__schema);
    docs.show(schema);
  } catch (error) {
    docs.show(null, `There is no schema to show: ${error.message}`);
  }
}

function tabs(group) {
  const buttons = [...document.querySelectorAll(`[data-group="${group}"]`)];
  const show = (button) => {
    for (const one of buttons) {
      one.setAttribute("aria-selected", String(one === button));
      byId(one.dataset.shows).hidden = one !== button;
    }
    for (const editor of [variables, headers]) editor.draw();
  };
  for (const button of buttons) button.addEventListener("click", () => show(button));
}

function theme() {
  let stored = null;
  try { stored = localStorage.getItem("polywire-theme"); } catch { /* storage is off: follow the system */ }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { document.documentElement.dataset.theme = stored || (system.matches ? "dark" : "light"); };
  system.addEventListener("change", apply);
  byId("theme").addEventListener("click", () => {
    stored = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("polywire-theme", stored); } catch { /* kept for this page only */ }
    apply();
  });
  apply();
}

theme();
tabs("side");
tabs("input");
byId("run").addEventListener("click", run);
byId("prettify").addEventListener("click", () => { query.insert(prettified(query.text), 0, query.text.length); });
byId("reload").addEventListener("click", learn);
byId("aside").addEventListener("click", () => {
  const isShut = document.body.classList.toggle("narrow");
  byId("aside").setAttribute("aria-expanded", String(!isShut));
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    query.hide();
    run();
  }
});
learn();
query.area.focus();
