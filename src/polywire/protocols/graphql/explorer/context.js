// What may stand at a place of a document, by the tokens before it and the schema.

import { tokens } from "./language.js";
import { isRequired, namedType, typeText } from "./schema.js";

const STARTS = ["query", "mutation", "subscription", "fragment"];

// A walk over the tokens: the frames that are open where they end, and what the last ones were about.
function walk(found, schema) {
  const frames = [];
  const variables = new Map();
  let pending = null;     // the type of the selection that a `{` would open
  let field = null;       // the last field of a selection, or the directive, whose arguments may follow
  let argument = null;    // the argument or input field whose value is expected
  let previous = null;
  let head = null;        // the operation or fragment whose `{` has not come
  let variable = null;
  const top = () => frames[frames.length - 1] || null;
  for (const token of found) {
    const frame = top();
    const t = token.text;
    if (t === "{" ) {
      if (frame && (frame.kind === "arguments" || frame.kind === "object")) {
        frames.push({ kind: "object", type: argument ? namedType(argument.type) : null, used: new Set() });
      } else {
        const type = frame ? pending : pending || (head ? null : schema.roots.query);
        frames.push({ kind: "selection", type });
        head = null;
      }
      pending = field = argument = null;
    } else if (t === "}" || t === ")") {
      frames.pop();
      argument = null;
      if (t === ")" && field && field.type) pending = namedType(field.type);
      if (t === ")" && head) pending = head.type;
    } else if (t === "(") {
      if (head && !frames.length) frames.push({ kind: "variables" });
      else frames.push({ kind: "arguments", of: field, used: new Set() });
    } else if (t === ":") {
      if (frame && frame.kind === "selection" && previous) field = null;
      else if (frame && frame.kind === "variables" && previous) variable = previous.text;
    } else if (token.kind === "directive") {
      const known = schema.directives.find((one) => `@${one.name}` === t);
      field = known ? { args: known.args, type: field && field.type } : null;
    } else if (token.kind === "name") {
      if (!frames.length) {
        if (STARTS.includes(t) && !head) {
          head = { kind: t, type: t === "fragment" ? null : schema.roots[t] };
          pending = head.type;
        } else if (previous && previous.text === "on" && head) {
          pending = head.type = t;
        }
      } else if (frame.kind === "selection") {
        if (previous && previous.kind === "spread") pending = t === "on" ? null : pending;
        else if (previous && previous.text === "on") pending = t;
        else {
          field = schema.field(frame.type, t);
          pending = field ? namedType(field.type) : null;
        }
      } else if (frame.kind === "arguments" || frame.kind === "object") {
        const inputs = frame.kind === "arguments" ? (frame.of && frame.of.args) || []
          : ((schema.type(frame.type) || {}).inputFields || []);
        if (!argument || (previous && previous.text !== ":" && previous.text !== "[")) {
          argument = inputs.find((one) => one.name === t) || null;
          frame.used.add(t);
        }
      } else if (frame.kind === "variables" && variable) {
        variables.set(variable, t);
        variable = null;
      }
    } else if (token.kind === "spread") {
      pending = frame ? frame.type : null;
    }
    // A value is over with its last token.
    if (argument && previous && previous.text === ":" && (token.kind !== "punctuation")) argument = null;
    previous = token;
  }
  return { frames, pending, argument, previous, head, variables };
}

export const fragmentsOf = (text) => [...text.matchAll(/\bfragment\s+(\w+)\s+on\s+(\w+)/g)].map((match) => ({ name: match[1], type: match[2] }));

// {from, options}: what may replace the text from `from` to the cursor; each option has label, detail, and description.
export function completions(text, cursor, schema) {
  const none = { from: cursor, options: [] };
  if (!schema) return none;
  const before = tokens(text.slice(0, cursor), "graphql");
  const last = before[before.length - 1];
  if (last && (last.kind === "comment" || last.kind === "string")) return none;
  const isWord = last && (last.kind === "name" || last.kind === "variable" || last.kind === "directive");
  const word = isWord ? last.text : "";
  const found = (isWord ? before.slice(0, -1) : before).filter((token) => token.kind !== "space" && token.kind !== "comment");
  const place = walk(found, schema);
  const wanted = word.toLowerCase();
  const options = optionsAt(place, text, schema, word).filter((one) => one.label.toLowerCase().includes(wanted) && one.label !== word);
  options.sort((a, b) => Number(b.label.toLowerCase().startsWith(wanted)) - Number(a.label.toLowerCase().startsWith(wanted)));
  return { from: cursor - word.length, options };
}

function optionsAt({ frames, argument, previous, head, variables }, text, schema, word) {
  const frame = frames[frames.length - 1];
  if (word.startsWith("@") ) return schema.directives.map((one) => ({ label: `@${one.name}`, detail: "directive", description: one.description }));
  const types = (kinds) => schema.shown.filter((type) => kinds.includes(type.kind)).map((type) => ({ label: type.name, detail: type.kind.toLowerCase(), description: type.description }));
  if (!frame) {
    if (previous && previous.text === "on") return types(["OBJECT", "UNION", "INTERFACE"]);
    if (head) return head.kind === "fragment" ? [{ label: "on" }] : [];
    return STARTS.filter((one) => one === "fragment" || schema.roots[one]).map((label) => ({ label, detail: "" }));
  }
  if (frame.kind === "selection") return selectable(frame, previous, text, schema, types);
  if (frame.kind === "variables") {
    return previous && (previous.text === ":" || previous.text === "[") ? types(["SCALAR", "ENUM", "INPUT_OBJECT"])
      .concat(["Int", "Float", "String", "Boolean", "ID"].filter((name) => !schema.type(name)).map((label) => ({ label, detail: "scalar" }))) : [];
  }
  if (argument && previous && (previous.text === ":" || previous.text === "[" || word.startsWith("$"))) return values(argument, variables, schema);
  const inputs = frame.kind === "arguments" ? (frame.of && frame.of.args) || [] : ((schema.type(frame.type) || {}).inputFields || []);
  return inputs.filter((one) => !frame.used.has(one.name)).sort((a, b) => Number(isRequired(b)) - Number(isRequired(a)))
    .map((one) => ({ label: one.name, insert: `${one.name}: `, detail: typeText(one.type), description: one.description }));
}

function selectable(frame, previous, text, schema, types) {
  if (previous && previous.text === "on") return types(["OBJECT", "UNION", "INTERFACE"]);
  if (previous && previous.kind === "spread") {
    return [{ label: "on", detail: "a type" }, ...fragmentsOf(text).map((one) => ({ label: one.name, detail: `on ${one.type}` }))];
  }
  const type = schema.type(frame.type);
  if (!type) return [];
  const fields = (type.fields || []).map((one) => ({ label: one.name, detail: typeText(one.type), description: one.description,
    opens: (one.args || []).some(isRequired) }));
  const members = (type.possibleTypes || []).map((one) => ({ label: `... on ${one.name}`, detail: "", description: "" }));
  return [...fields, ...members, { label: "__typename", detail: "String!", description: "The name of the object's type." }];
}

function values(argument, variables, schema) {
  const name = namedType(argument.type);
  const type = schema.type(name);
  const options = [...variables].map(([label, of]) => ({ label, detail: of }));
  if (name === "Boolean") options.push({ label: "true", detail: "Boolean" }, { label: "false", detail: "Boolean" });
  if (type && type.kind === "ENUM") options.push(...type.enumValues.map((one) => ({ label: one.name, detail: name, description: one.description })));
  return options;
}
