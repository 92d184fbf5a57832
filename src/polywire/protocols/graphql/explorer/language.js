// GraphQL and JSON as tokens: for colours, for completion, and to find the operations of a document.

const PATTERNS = {
  graphql: [
    ["comment", /#[^\n]*/y],
    ["string", /"""[^]*?(?:"""|$)|"(?:\\.|[^"\\\n])*"?/y],
    ["variable", /\$[_A-Za-z]\w*|\$/y],
    ["directive", /@[_A-Za-z]\w*|@/y],
    ["number", /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
    ["name", /[_A-Za-z]\w*/y],
    ["spread", /\.\.\./y],
    ["punctuation", /[{}()[\]:=!|&]/y],
    ["space", /[\s,\uFEFF]+/y],
  ],
  json: [
    ["string", /"(?:\\.|[^"\\\n])*"?/y],
    ["number", /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y],
    ["name", /[A-Za-z]+/y],
    ["punctuation", /[{}[\]:,]/y],
    ["space", /\s+/y],
  ],
};

export function tokens(text, language) {
  const found = [];
  let at = 0;
  while (at < text.length) {
    let end = at + 1;
    let kind = "other";
    for (const [name, pattern] of PATTERNS[language]) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match) {
        kind = name;
        end = at + match[0].length;
        break;
      }
    }
    found.push({ kind, text: text.slice(at, end), start: at, end });
    at = end;
  }
  return found;
}

const KEYWORDS = new Set(["query", "mutation", "subscription", "fragment", "on", "true", "false", "null"]);

// [class or null, text] of each piece, for the editor and the answers.
export function colours(text, language) {
  const all = tokens(text, language);
  return all.map((token, place) => {
    if (token.kind === "space" || token.kind === "punctuation" || token.kind === "spread") return [null, token.text];
    if (language === "json" && token.kind === "string") {
      const next = all.slice(place + 1, place + 3).find((other) => other.kind !== "space");
      return [next && next.text === ":" ? "key" : "string", token.text];
    }
    if (token.kind === "name") {
      if (KEYWORDS.has(token.text)) return ["keyword", token.text];
      const next = all.slice(place + 1, place + 3).find((other) => other.kind !== "space");
      return [language === "graphql" && next && next.text === ":" ? "argument" : null, token.text];
    }
    return [token.kind === "other" ? "wrong" : token.kind, token.text];
  });
}

// The operations of a document: {kind, name, start, end, variables}, in order.
export function operations(text) {
  const found = [];
  let depth = 0;
  let current = null;
  const real = tokens(text, "graphql").filter((token) => token.kind !== "space" && token.kind !== "comment");
  real.forEach((token, place) => {
    if (depth === 0 && token.kind === "name" && /^(query|mutation|subscription|fragment)$/.test(token.text)
      && !(current && current.open)) {
      const next = real[place + 1];
      current = { kind: token.text, name: next && next.kind === "name" ? next.text : null, start: token.start, end: token.end, open: true };
      if (token.text !== "fragment") found.push(current);
    }
    if (depth === 0 && token.text === "{" && !(current && current.open)) {
      current = { kind: "query", name: null, start: token.start, end: token.end, open: true };
      found.push(current);
    }
    if ("{([".includes(token.text)) depth += 1;
    if ("})]".includes(token.text)) depth = Math.max(0, depth - 1);
    if (current && current.open) {
      current.end = token.end;
      if (depth === 0 && token.text === "}") current.open = false;
    }
  });
  return found;
}

// The document, laid out anew: two blanks a level, comments kept where they stand.
export function prettified(text) {
  let out = "";
  let depth = 0;
  let round = 0;
  const line = () => { out = `${out.trimEnd()}\n${"  ".repeat(depth)}`; };
  let previous = null;
  for (const token of tokens(text, "graphql")) {
    if (token.kind === "space") continue;
    const t = token.text;
    if (token.kind === "comment") {
      if (out.trim()) line();
      out += t;
      line();
    } else if (t === "{" && !round) {
      out = `${out.trimEnd()}${out.trim() && !out.endsWith("\n") ? " " : ""}{`;
      depth += 1;
      line();
    } else if (t === "}" && !round) {
      depth = Math.max(0, depth - 1);
      line();
      out += "}";
      if (depth) line(); else out += "\n\n";
    } else if ("([{".includes(t)) {
      round += 1;
      if (t !== "(" && previous && previous.text !== "(" && previous.text !== "[" && !out.endsWith(" ")) out += " ";
      if (t === "(") out = out.trimEnd();
      out += t;
    } else if (")]}".includes(t)) {
      round = Math.max(0, round - 1);
      out = out.trimEnd() + t;
      if (!round && t === ")") out += " ";
    } else if (t === ":") {
      out = `${out.trimEnd()}: `;
    } else if (t === "=" || t === "|" || t === "&") {
      out = `${out.trimEnd()} ${t} `;
    } else if (t === "!") {
      out = `${out.trimEnd()}!`;
    } else {
      const joins = !previous || out.endsWith(" ") || out.endsWith("\n") || /[([{]$/.test(out) || previous.kind === "spread" && token.kind === "name" && t !== "on";
      const ownLine = !round && depth && previous && (previous.kind === "name" || ")]!".includes(previous.text) || previous.kind === "directive" || previous.kind === "string" || previous.kind === "number")
        && (token.kind === "name" || token.kind === "spread") && !continues(previous, token);
      if (ownLine) line();
      else if (round && !joins) out += /[([]$/.test(out) ? "" : previous.text === ":" ? "" : ", ";
      else if (!joins) out += " ";
      out += t;
    }
    previous = token;
  }
  return out.split("\n").map((row) => row.trimEnd()).join("\n").replace(/\n{3,}/g, "\n\n").trim() + "\n";
}

// Whether two names belong on one line: `on User`, and `User` after it is not followed by a field on the same one.
const continues = (previous, token) => previous.text === "on" || (previous.kind === "spread" && token.text === "on");
