// The schema to read: roots first, then type by type; a filter over everything.

import { el, inline, prose } from "./dom.js";
import { isRequired, namedType, typeText } from "./schema.js";

const KINDS = { OBJECT: "type", INPUT_OBJECT: "input", ENUM: "enum", UNION: "union", INTERFACE: "interface", SCALAR: "scalar" };

export class Docs {
  // onuse(root, field): a field of a root that is to be asked for.
  constructor(root, onuse) {
    this.root = root;
    this.onuse = onuse;
    this.schema = null;
    this.trail = [];
    this.filter = el("input", { type: "search", placeholder: "Search types and fields", "aria-label": "Search the schema",
      autocomplete: "off", spellcheck: "false", oninput: () => this.draw() });
    this.body = el("div", { class: "docs-body" });
    root.append(this.filter, this.body);
  }

  show(schema, problem) {
    this.schema = schema;
    this.problem = problem;
    this.draw();
  }

  go(name) {
    this.filter.value = "";
    this.trail.push(name);
    this.draw();
    this.body.scrollTop = 0;
  }

  back(length) {
    this.trail.length = length;
    this.draw();
  }

  draw() {
    if (!this.schema) {
      this.body.replaceChildren(el("p", { class: "muted" }, this.problem || "Loading the schema…"));
      return;
    }
    const wanted = this.filter.value.trim().toLowerCase();
    const name = this.trail[this.trail.length - 1];
    this.body.replaceChildren(...[wanted ? this.found(wanted) : name ? this.typePage(name) : this.front()].flat(Infinity));
  }

  typeLink(type) {
    const name = typeof type === "string" ? type : namedType(type);
    const text = typeof type === "string" ? type : typeText(type);
    return el("button", { class: "type-link", type: "button", onclick: () => this.go(name) }, text);
  }

  front() {
    const roots = Object.entries(this.schema.roots).filter(([, name]) => name);
    const others = this.schema.shown.filter((type) => !roots.some(([, name]) => name === type.name) && type.kind !== "SCALAR");
    return [
      roots.map(([kind, name]) => [el("h2", {}, name), this.fields(this.schema.type(name), kind)]),
      el("h2", {}, "Types"),
      el("div", { class: "chips" }, others.sort((a, b) => a.name.localeCompare(b.name)).map((type) => this.typeLink(type.name))),
    ];
  }

  typePage(name) {
    const type = this.schema.type(name);
    const crumbs = el("nav", { class: "crumbs", "aria-label": "Back" },
      el("button", { class: "type-link", type: "button", onclick: () => this.back(0) }, "Schema"),
      this.trail.slice(0, -1).slice(-3).map((one, place, shown) => [" › ", el("button", { class: "type-link", type: "button",
        onclick: () => this.back(this.trail.length - shown.length + place) }, one)]));
    if (!type) return [crumbs, el("p", { class: "muted" }, `${name} is a scalar of GraphQL.`)];
    const root = Object.entries(this.schema.roots).find(([, one]) => one === name);
    const users = this.users(name);
    return [
      crumbs,
      el("h1", {}, name, el("span", { class: "method" }, KINDS[type.kind])),
      prose(type.description),
      type.fields ? this.fields(type, root && root[0]) : null,
      type.inputFields ? type.inputFields.map((one) => this.input(one)) : null,
      type.enumValues ? type.enumValues.map((one) => el("div", { class: "field" }, el("span", { class: "name" }, one.name), prose(one.description))) : null,
      type.possibleTypes && type.possibleTypes.length ? [el("h2", {}, "One of"), el("div", { class: "chips" }, type.possibleTypes.map((one) => this.typeLink(one.name)))] : null,
      users.length ? [el("h2", {}, "Comes from"), el("div", { class: "chips" }, users.map(([owner, field]) =>
        el("button", { class: "type-link", type: "button", onclick: () => this.go(owner) }, `${owner}.${field}`)))] : null,
    ].filter(Boolean);
  }

  users(name) {
    return this.schema.shown.flatMap((type) => (type.fields || []).filter((field) => namedType(field.type) === name).map((field) => [type.name, field.name])).slice(0, 20);
  }

  fields(type, rootKind) {
    return (type.fields || []).map((field) => el("div", { class: "field" },
      el("div", { class: "line" },
        el("span", { class: "name" }, field.name),
        el("span", { class: "type" }, this.typeLink(field.type)),
        rootKind ? el("button", { class: "use", type: "button", title: "Write this into the editor", onclick: () => this.onuse(rootKind, field) }, "use") : null),
      prose(field.description),
      field.args.length ? el("div", { class: "children" }, field.args.map((one) => this.input(one))) : null));
  }

  input(one) {
    return el("div", { class: "argument" },
      el("div", { class: "line" }, el("span", { class: "name" }, one.name), el("span", { class: "type" }, this.typeLink(one.type)),
        isRequired(one) ? el("span", { class: "required" }, "required") : null,
        one.defaultValue === null ? null : el("span", { class: "rule" }, `= ${one.defaultValue}`)),
      one.description ? el("p", { class: "muted" }, inline(one.description)) : null);
  }

  found(wanted) {
    const hits = [];
    for (const type of this.schema.shown) {
      if (type.name.toLowerCase().includes(wanted)) hits.push([type.name, null]);
      for (const field of [...(type.fields || []), ...(type.inputFields || [])]) {
        if (field.name.toLowerCase().includes(wanted)) hits.push([type.name, field]);
      }
    }
    if (!hits.length) return [el("p", { class: "muted" }, "Nothing matches.")];
    return hits.slice(0, 100).map(([owner, field]) => el("div", { class: "field" }, el("div", { class: "line" },
      el("span", { class: "name" }, this.typeLink(owner), field ? `.${field.name}` : ""),
      field ? el("span", { class: "type" }, this.typeLink(field.type)) : null)));
  }
}

// A document that asks for a field: its required arguments, and the scalars of what it gives.
export function skeleton(schema, kind, field) {
  const required = field.args.filter(isRequired);
  const declared = required.map((one) => `$${one.name}: ${typeText(one.type)}`).join(", ");
  const passed = required.map((one) => `${one.name}: $${one.name}`).join(", ");
  const name = field.name[0].toUpperCase() + field.name.slice(1);
  const text = `${kind} ${name}${declared ? `(${declared})` : ""} {\n  ${field.name}${passed ? `(${passed})` : ""}${leaves(schema, field.type)}\n}\n`;
  return { text, variables: Object.fromEntries(required.map((one) => [one.name, example(schema, one.type, 0)])) };
}

function leaves(schema, of) {
  const type = schema.type(namedType(of));
  if (!type || !(type.fields || type.possibleTypes)) return "";
  if (!type.fields) return " {\n    __typename\n  }";
  const plain = type.fields.filter((field) => !field.args.some(isRequired) && !["OBJECT", "UNION", "INTERFACE"].includes((schema.type(namedType(field.type)) || {}).kind));
  return ` {\n    ${(plain.length ? plain.map((field) => field.name) : ["__typename"]).join("\n    ")}\n  }`;
}

function example(schema, of, depth) {
  if (of.kind === "NON_NULL") return example(schema, of.ofType, depth);
  if (of.kind === "LIST") return [];
  const type = schema.type(of.name);
  if (type && type.enumValues) return type.enumValues[0].name;
  if (type && type.inputFields) {
    return depth > 3 ? {} : Object.fromEntries(type.inputFields.filter(isRequired).map((one) => [one.name, example(schema, one.type, depth + 1)]));
  }
  return { Int: 1, Float: 1, Boolean: true, ID: "1", Int64: "1", UInt64: "1", UInt32: 1 }[of.name] ?? "";
}
