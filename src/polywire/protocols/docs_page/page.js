"use strict";
(() => {
  // Text from the contract and from answers only ever becomes text nodes: it is shown, never run.
  const byId = (id) => document.getElementById(id);

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
  }

  // Paragraphs at blank lines and `code` between backticks: enough for docstrings, and no markup.
  const prose = (text) => String(text).trim().split(/\n\s*\n/).map((paragraph) => el("p", {}, inline(paragraph)));
  const inline = (text) => String(text).split(/(`[^`\n]+`)/).map((part) =>
    part.length > 2 && part.startsWith("`") && part.endsWith("`") ? el("code", {}, part.slice(1, -1)) : part);

  const VERBS = ["get", "head", "post", "put", "patch", "delete", "options", "trace"];
  const SIGNS = { server_stream: "↓", client_stream: "↑", bidi_stream: "⇅" };
  const ARROWS = { unary: "", server_stream: "answers with a stream", client_stream: "takes a stream", bidi_stream: "streams both ways" };
  let contract = null;
  let entries = [];

  // ---- the contract --------------------------------------------------------------------------------------------
  function resolve(schema) {
    for (let hops = 0; schema && schema.$ref && hops < 16; hops++) {
      schema = schema.$ref.slice(2).split("/").reduce(
        (at, key) => at && at[key.replace(/~1/g, "/").replace(/~0/g, "~")], contract);
    }
    return schema || {};
  }

  const refName = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : "");
  const summaryOf = (text) => String(text || "").trim().split(/\n\s*\n/)[0].replace(/\s+/g, " ").split(". ")[0].replace(/\.$/, "");

  function collect() {
    const groups = new Map((contract.tags || []).map((tag) => [tag.name, { name: tag.name, description: tag.description, entries: [] }]));
    const group = (name) => {
      if (!groups.has(name)) groups.set(name, { name, entries: [] });
      return groups.get(name);
    };
    for (const [path, item] of Object.entries(contract.paths || {})) {
      for (const verb of VERBS.filter((one) => item[one])) {
        const operation = item[verb];
        const id = operation.operationId || `${verb} ${path}`;
        const rpc = operation["x-rpc"];
        const siblings = group((operation.tags || ["Operations"])[0]).entries;
        const main = rpc && siblings.find((one) => one.rpc && one.rpc.path === rpc.path);
        if (main) main.aliases.push({ verb, path });
        else siblings.push({ id, verb, path, operation, rpc, title: operation.summary || id, aliases: [] });
      }
    }
    for (const tag of contract.tags || []) {
      for (const method of tag["x-rpc-methods"] || []) {
        group(tag.name).entries.push({ id: method.path, rpc: method, title: summaryOf(method.description) || method.name });
      }
    }
    const list = [...groups.values()].filter((one) => one.entries.length);
    entries = list.flatMap((one) => one.entries);
    return list;
  }

  // ---- sidebar and overview --------------------------------------------------------------------------------------
  const badge = (entry) => el("span", { class: `badge ${entry.verb || "rpc"}` }, (entry.verb || "rpc").toUpperCase());
  const sign = (entry) => entry.rpc && SIGNS[entry.rpc.shape]
    ? el("span", { class: "sign", title: ARROWS[entry.rpc.shape], role: "img", "aria-label": ARROWS[entry.rpc.shape] }, SIGNS[entry.rpc.shape]) : null;
  const link = (entry) => `#/${encodeURIComponent(entry.id)}`;
  const methodName = (entry) => (entry.rpc && entry.rpc.path ? entry.rpc.path.split("/").pop() : entry.title);

  function sidebar(groups, wanted) {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const current = decodeURIComponent(location.hash.slice(2));
    byId("tree").replaceChildren(...groups.flatMap((group) => {
      const found = group.entries.filter((entry) => {
        const text = `${group.name} ${entry.id} ${entry.path || ""} ${entry.verb || "rpc"} ${entry.title}`.toLowerCase();
        return words.every((word) => text.includes(word));
      });
      if (!found.length) return [];
      return [el("div", { class: "group" }, group.name), ...found.map((entry) =>
        el("a", { class: "item", href: link(entry), title: entry.path || entry.id, "aria-current": entry.id === current ? "page" : null },
          badge(entry), el("span", { class: "label" }, methodName(entry)), sign(entry)))];
    }));
    if (!byId("tree").childElementCount) byId("tree").append(el("p", { class: "muted group" }, "Nothing matches."));
  }

  function overview(groups) {
    return [
      el("h1", {}, contract.info.title),
      contract.info.description ? prose(contract.info.description) : null,
      ...groups.flatMap((group) => [
        el("h2", { class: "plain" }, group.name),
        group.description ? prose(group.description) : null,
        el("div", {}, group.entries.map((entry) => el("a", { class: "card", href: link(entry) },
          badge(entry), el("span", { class: "mono" }, entry.path || entry.id), el("span", { class: "muted" }, inline(entry.title)), sign(entry)))),
      ]),
    ];
  }

  // ---- schemas ---------------------------------------------------------------------------------------------------
  function typeText(schema) {
    if (schema.$ref) return refName(schema);
    if (schema.anyOf || schema.oneOf) return (schema.anyOf || schema.oneOf).map(typeText).join(" | ");
    if (schema.allOf) return schema.allOf.map(typeText).join(" & ");
    const types = [].concat(schema.type || "any");
    return types.map((type) => {
      if (type === "array") return `${typeText(schema.items || {})}[]`;
      if (type === "object" && schema.additionalProperties) return `map of ${typeText(schema.additionalProperties)}`;
      return type;
    }).join(" | ") + (schema.format ? ` (${schema.format})` : "");
  }

  const RULES = [["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["exclusiveMaximum", "<"], ["multipleOf", "multiple of"],
    ["minLength", "length ≥"], ["maxLength", "length ≤"], ["minItems", "items ≥"], ["maxItems", "items ≤"],
    ["minProperties", "entries ≥"], ["maxProperties", "entries ≤"], ["pattern", "matches"]];

  function rules(schema) {
    const found = RULES.filter(([key]) => schema[key] !== undefined).map(([key, sign]) => `${sign} ${schema[key]}`);
    if (schema.const !== undefined) found.push(`always ${JSON.stringify(schema.const)}`);
    const choices = resolve(schema).enum;
    if (choices) found.push(choices.map((one) => JSON.stringify(one)).join(" | "));
    if (schema.default !== undefined) found.push(`default ${JSON.stringify(schema.default)}`);
    return found.length ? el("span", { class: "rule" }, found.join(", ")) : null;
  }

  // What can be opened below a schema: a list of [label, schema].
  function inner(schema) {
    const here = schema.items || (typeof schema.additionalProperties === "object" ? schema.additionalProperties : schema);
    if (here !== schema) return inner(here);
    if (schema.anyOf) return schema.anyOf.filter((one) => one.type !== "null").flatMap(inner);
    const table = resolve(schema);
    if (table.oneOf) return table.oneOf.map((one) => [refName(one) || typeText(one), one]);
    if (table.properties || table.allOf) return [[refName(schema) || "object", schema]];
    return [];
  }

  function fields(schema) {
    const table = resolve(schema);
    if (table.allOf) return table.allOf.map(fields);
    const required = new Set(table.required || []);
    return Object.entries(table.properties || {}).map(([name, property]) => el("div", { class: "field" },
      el("div", { class: "line" }, el("span", { class: "name" }, name), el("span", { class: "type" }, typeText(property)),
        required.has(name) ? el("span", { class: "required" }, "required") : null, rules(property)),
      property.description ? prose(property.description) : null,
      inner(property).map(([label, one]) => opened(label, one))));
  }

  // Filled when it is first opened: messages may contain themselves.
  function opened(label, schema) {
    const body = el("div", { class: "children" });
    const node = el("details", {}, el("summary", {}, label), body);
    node.addEventListener("toggle", () => {
      if (node.open && !body.childElementCount) body.append(...fields(schema).flat(Infinity));
    });
    return node;
  }

  function schemaView(schema) {
    const table = resolve(schema);
    const head = el("div", { class: "line" }, el("span", { class: "type" }, typeText(schema)), rules(schema));
    if (table.properties) return el("div", {}, head, table.description ? prose(table.description) : null, fields(schema));
    return el("div", {}, head, table.description ? prose(table.description) : null,
      inner(schema).map(([label, one]) => opened(label, one)));
  }

  // ---- code --------------------------------------------------------------------------------------------------------
  function pretty(text) {
    let value;
    try { value = JSON.parse(text); } catch { return [text]; }
    return coloured(JSON.stringify(value, null, 2));
  }

  function coloured(json) {
    const parts = [];
    const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
    let at = 0;
    for (const match of json.matchAll(token)) {
      parts.push(json.slice(at, match.index));
      const kind = match[2] ? "key" : match[1] ? "string" : "number";
      parts.push(el("span", { class: kind }, match[1] || match[0]), match[2] || "");
      at = match.index + match[0].length;
    }
    return [...parts, json.slice(at)];
  }

  function code(content) {
    const pre = el("pre", { tabindex: 0 }, content);
    const copy = el("button", { class: "copy", type: "button", onclick: async () => {
      try { await navigator.clipboard.writeText(pre.textContent); copy.textContent = "Copied"; } catch { copy.textContent = "Copy by hand"; }
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    } }, "Copy");
    return el("div", { class: "code" }, pre, copy);
  }

  const quoted = (text) => `'${String(text).replace(/'/g, "'\\''")}'`;

  function compact(text) {
    try { return JSON.stringify(JSON.parse(text)); } catch { return text; }
  }

  function curl(request) {
    const lines = [`curl${request.stream ? " -N" : ""}${request.verb === "GET" ? "" : ` -X ${request.verb}`} ${quoted(request.url)}`];
    for (const [name, value] of request.headers) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
    if (request.body !== null) lines.push(`-d ${quoted(compact(request.body))}`);
    return lines.join(" \\\n  ");
  }

  function grpcurl(rpc, message) {
    const plain = location.protocol === "https:" ? "" : " -plaintext";
    const port = location.port || (location.protocol === "https:" ? "443" : "80");
    const data = Object.keys(message || {}).length ? ` -d ${quoted(JSON.stringify(message))}` : "";
    return `grpcurl${plain}${data} \\\n  ${location.hostname}:${port} ${rpc.path}`;
  }

  function tabs(choices) {
    const panel = el("div", { role: "tabpanel" });
    let chosen = 0;
    const buttons = choices.map(([label], index) => el("button", { class: "small", type: "button", role: "tab", onclick: () => { chosen = index; show(); } }, label));
    function show() {
      buttons.forEach((button, index) => button.setAttribute("aria-selected", String(index === chosen)));
      panel.replaceChildren(code(choices[chosen][1]()));
    }
    show();
    return { node: el("div", {}, el("div", { class: "tabs", role: "tablist" }, buttons), panel), show };
  }

  // ---- try it --------------------------------------------------------------------------------------------------------
  const same = (left, right) => JSON.stringify(left) === JSON.stringify(right);
  const parameterSchema = (parameter) => parameter.schema || Object.values(parameter.content || {})[0]?.schema || {};
  const mediaOf = (holder) => Object.entries((holder && holder.content) || {})[0] || [null, null];

  function typed(text, schema) {
    const types = [].concat(resolve(schema.anyOf ? schema.anyOf[0] : schema).type || "string");
    if (types.includes("array")) return text.split(",").map((one) => typed(one.trim(), schema.items || {}));
    if (types.includes("boolean")) return text === "true";
    if ((types.includes("integer") || types.includes("number")) && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
    return text;
  }

  function control(parameter) {
    const schema = parameterSchema(parameter);
    const table = resolve(schema.anyOf ? schema.anyOf[0] : schema);
    const choices = table.enum || ([].concat(table.type).includes("boolean") ? [true, false] : null);
    const initial = parameter.example === undefined ? "" : parameter.example;
    if (choices) {
      const select = el("select", { name: parameter.name }, parameter.required ? null : el("option", { value: "" }, "—"),
        choices.map((one) => el("option", { value: one }, String(one))));
      select.value = String(initial);
      return select;
    }
    const shown = typeof initial === "object" ? JSON.stringify(initial) : String(initial);
    const hint = schema.default === undefined ? "" : String(schema.default);
    return el("input", { class: "mono", name: parameter.name, value: shown, placeholder: hint, autocomplete: "off", spellcheck: "false" });
  }

  function form(entry) {
    const operation = entry.operation;
    const parameters = (operation.parameters || []).map((parameter) => ({ parameter, input: control(parameter) }));
    const [mediaType, media] = mediaOf(operation.requestBody);
    const initialBody = media && media.example !== undefined ? media.example : {};
    const written = JSON.stringify(initialBody, null, mediaType === "application/x-ndjson" ? 0 : 2);
    const body = media ? el("textarea", { rows: Math.min(16, written.split("\n").length + 1), spellcheck: "false", "aria-label": "body" }) : null;
    if (body) body.value = written;
    const headers = el("textarea", { rows: 2, spellcheck: "false", placeholder: "Authorization: Bearer …" });
    const stream = entry.rpc && entry.rpc.shape.endsWith("stream") && entry.rpc.shape !== "client_stream";

    function request() {
      let path = entry.path;
      const query = new URLSearchParams();
      for (const { parameter, input } of parameters) {
        if (parameter.in === "header") continue;
        if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
        else if (input.value !== "") {
          const list = [].concat(parameterSchema(parameter).type).includes("array");
          for (const one of list ? input.value.split(",") : [input.value]) query.append(parameter.name, list ? one.trim() : one);
        }
      }
      const text = query.toString();
      const sent = headers.value.split("\n").map((line) => line.match(/^\s*([^:\s]+)\s*:\s*(.*?)\s*$/)).filter(Boolean).map((match) => [match[1], match[2]]);
      for (const { parameter, input } of parameters) if (parameter.in === "header" && input.value !== "") sent.unshift([parameter.name, input.value]);
      if (body) sent.unshift(["Content-Type", mediaType]);
      if (stream) sent.unshift(["Accept", "application/x-ndjson"]);
      return { verb: entry.verb.toUpperCase(), url: location.origin + path + (text ? `?${text}` : ""), headers: sent, body: body ? body.value : null, stream };
    }

    // The protobuf form where nothing was changed (enums and unions are written otherwise there), else what was typed.
    function message() {
      const result = { ...((entry.rpc && entry.rpc.example) || {}) };
      for (const { parameter, input } of parameters) {
        if (parameter.in === "header") continue;
        if (input.value === "") delete result[parameter.name];
        else if (!same(typed(input.value, parameterSchema(parameter)), parameter.example)) result[parameter.name] = typed(input.value, parameterSchema(parameter));
      }
      let edited;
      try { edited = body ? JSON.parse(body.value) : {}; } catch { return result; }
      if (typeof edited !== "object" || edited === null) return result;
      for (const key of Object.keys(initialBody)) if (!(key in edited)) delete result[key];
      for (const [key, value] of Object.entries(edited)) if (!same(value, initialBody[key])) result[key] = value;
      return result;
    }

    const inputs = parameters.map(({ parameter, input }) => el("label", {}, el("span", { class: "name" }, parameter.name), input));
    if (body) inputs.push(el("label", { class: "wide" }, el("span", { class: "name" }, "body"), body));
    const extra = el("details", {}, el("summary", {}, "Headers"), el("label", { class: "wide" }, headers));
    return { inputs, extra, request, message };
  }

  function answerView(response, milliseconds, bytes) {
    const kind = response.status < 400 ? "good" : "wrong";
    const size = bytes < 2048 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} kB`;
    return [
      el("div", { class: "actions" }, el("span", { class: `status ${kind}` }, `${response.status} ${response.statusText}`.trim()),
        el("span", { class: "muted" }, `${milliseconds.toFixed(1)} ms`), el("span", { class: "muted" }, size)),
      el("details", {}, el("summary", {}, "Response headers"),
        el("dl", {}, [...response.headers].flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]))),
    ];
  }

  const SHOWN_CHARACTERS = 200_000;

  function tryIt(entry, changed) {
    const { inputs, extra, request, message } = form(entry);
    const output = el("div", { "aria-live": "polite" });
    const send = el("button", { class: "main", type: "submit" }, "Send");
    const stop = el("button", { class: "small", type: "button", hidden: true }, "Stop");
    const node = el("form", { onsubmit: (event) => { event.preventDefault(); run(); }, oninput: () => changed() }, inputs, extra,
      el("div", { class: "actions" }, send, stop), output);

    async function run() {
      const abort = new AbortController();
      stop.onclick = () => abort.abort();
      stop.hidden = false;
      send.disabled = true;
      const { verb, url, headers, body } = request();
      const started = performance.now();
      try {
        const response = await fetch(url, { method: verb, headers, body, signal: abort.signal, credentials: "same-origin", cache: "no-store" });
        const first = performance.now() - started;
        const ndjson = (response.headers.get("content-type") || "").startsWith("application/x-ndjson");
        const decoder = new TextDecoder();
        let text = "", bytes = 0;
        const show = (done) => {
          const shown = text.slice(0, SHOWN_CHARACTERS);
          output.replaceChildren(...answerView(response, done ? performance.now() - started : first, bytes),
            ...(text ? [code(ndjson ? coloured(shown) : shown.length < text.length ? [shown, "…"] : pretty(shown))] : []));
        };
        for (const reader = response.body && response.body.getReader(); reader;) {
          const { done, value } = await reader.read();
          if (done) break;
          bytes += value.length;
          text += decoder.decode(value, { stream: true });
          if (ndjson) show(false);
        }
        show(true);
      } catch (error) {
        const text = error.name === "AbortError" ? "Stopped." : `No answer: ${error.message}`;
        output.append(el("p", { class: "problem" }, text));
      } finally {
        stop.hidden = true;
        send.disabled = false;
      }
    }
    return { node, request, message };
  }

  // ---- one operation -----------------------------------------------------------------------------------------------
  function parametersView(operation) {
    if (!(operation.parameters || []).length) return [];
    return [el("h2", {}, "Parameters"), el("table", { class: "parameters" }, el("thead", {}, el("tr", {}, ["Name", "In", "Type"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, operation.parameters.map((parameter) => {
        const schema = parameterSchema(parameter);
        return el("tr", {},
          el("td", {}, el("div", { class: "name" }, parameter.name), parameter.required ? el("div", { class: "required" }, "required") : null),
          el("td", { class: "muted" }, parameter.in),
          el("td", {}, el("div", { class: "line" }, el("span", { class: "type" }, typeText(schema)), rules(schema)),
            parameter.description ? prose(parameter.description) : null));
      })))];
  }

  function responsesView(operation) {
    return [el("h2", {}, "Responses"), Object.entries(operation.responses || {}).map(([status, holder]) => {
      const response = resolve(holder);
      const [type, media] = mediaOf(response);
      return el("div", { class: "field answer" },
        el("div", { class: "line" }, el("span", { class: `status ${/^[23]/.test(status) ? "good" : "wrong"}` }, status), el("span", { class: "type" }, type || "")),
        prose(response.description || ""), media && media.schema ? schemaView(media.schema) : null);
    })];
  }

  function exampleView(operation) {
    const media = Object.values(operation.responses || {}).map((holder) => mediaOf(resolve(holder))[1]).find((one) => one && one.example !== undefined);
    return media ? [el("h2", {}, "Example answer"), code(coloured(JSON.stringify(media.example, null, 2)))] : [];
  }

  function pathView(entry) {
    const text = entry.path || `/${entry.id}`;
    return el("div", { class: "path" }, badge(entry), el("span", {}, text.split(/(\{[^}]*\})/).map((part) =>
      part.startsWith("{") ? el("span", { class: "variable" }, part) : part)));
  }

  function aliasesView(entry) {
    if (!entry.aliases || !entry.aliases.length) return null;
    return el("p", { class: "muted" }, "Also ", entry.aliases.flatMap((alias, index) => [index ? ", " : "", el("code", {}, `${alias.verb.toUpperCase()} ${alias.path}`)]));
  }

  function operationView(entry) {
    const description = entry.operation ? entry.operation.description : entry.rpc.description;
    const shape = entry.rpc && ARROWS[entry.rpc.shape];
    const name = methodName(entry);
    const head = [el("h1", {}, inline(entry.title), name === entry.title ? null : el("span", { class: "method" }, name)), pathView(entry), aliasesView(entry), description && summaryOf(description) !== String(description).trim().replace(/\.$/, "") ? prose(description) : null,
      shape ? el("p", { class: "muted" }, `This method ${shape}.`) : null];
    if (!entry.operation) {
      return [...head, el("div", { class: "columns" },
        el("section", {}, el("h2", {}, "Request"), schemaView(entry.rpc.input), el("h2", {}, "Answer"), el("div", { class: "answer" }, schemaView(entry.rpc.output))),
        el("section", {}, el("h2", {}, "Call"), code(grpcurl(entry.rpc, entry.rpc.example))))];
    }
    const operation = entry.operation;
    const [type, media] = mediaOf(operation.requestBody);
    let commands = null;
    const attempt = tryIt(entry, () => commands.show());
    const choices = [["curl", () => curl(attempt.request())]];
    if (entry.rpc) choices.push(["grpcurl", () => grpcurl(entry.rpc, attempt.message())]);
    commands = tabs(choices);
    return [...head, el("div", { class: "columns" },
      el("section", {}, parametersView(operation),
        media ? [el("h2", {}, "Body"), el("p", { class: "muted mono" }, type), schemaView(media.schema)] : [],
        responsesView(operation)),
      el("section", {}, el("h2", {}, "Call"), commands.node, el("h2", {}, "Try it"), attempt.node, exampleView(operation)))];
  }

  // ---- start -------------------------------------------------------------------------------------------------------
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

  async function start() {
    theme();
    const main = byId("content");
    try {
      const response = await fetch("openapi.json", { credentials: "same-origin" });
      if (!response.ok) throw new Error(`openapi.json answered ${response.status}`);
      contract = await response.json();
    } catch (error) {
      main.replaceChildren(el("h1", {}, "The contract could not be read"), el("p", { class: "problem" }, error.message));
      return;
    }
    document.title = contract.info.title;
    byId("title").textContent = contract.info.title;
    byId("version").textContent = contract.info.version;
    const groups = collect();
    const open = (yes) => { document.body.classList.toggle("open", yes); byId("menu").setAttribute("aria-expanded", String(yes)); };
    byId("menu").addEventListener("click", () => open(!document.body.classList.contains("open")));
    byId("filter").addEventListener("input", () => sidebar(groups, byId("filter").value));
    function show(focus) {
      open(false);
      const id = decodeURIComponent(location.hash.slice(2));
      const entry = entries.find((one) => one.id === id);
      main.replaceChildren(...(entry ? operationView(entry) : overview(groups)).flat(Infinity).filter(Boolean));
      sidebar(groups, byId("filter").value);
      scrollTo(0, 0);
      if (focus) main.focus({ preventScroll: true });
    }
    addEventListener("hashchange", () => { if (location.hash !== "#content") show(true); });
    show(false);
  }

  start();
})();
