// What the modules of the explorer make of documents; run by test_explorer.py beside them.

import { strict as assert } from "node:assert";
import { colours, operations, prettified } from "./language.js";
import { completions } from "./context.js";
import { Schema } from "./schema.js";
import { skeleton } from "./docs.js";

const named = (name, kind = "OBJECT") => ({ kind, name, ofType: null });
const required = (type) => ({ kind: "NON_NULL", name: null, ofType: type });
const input = (name, type) => ({ name, type, defaultValue: null });
const schema = new Schema({
  queryType: { name: "Query" }, mutationType: null, subscriptionType: null, directives: [{ name: "skip", args: [input("if", required(named("Boolean", "SCALAR")))] }],
  types: [
    { kind: "OBJECT", name: "Query", fields: [
      { name: "user", args: [input("id", required(named("ID", "SCALAR"))), input("role", named("Role", "ENUM"))], type: named("User") },
      { name: "users", args: [input("where", named("Where", "INPUT_OBJECT"))], type: { kind: "LIST", name: null, ofType: named("User") } }] },
    { kind: "OBJECT", name: "User", fields: [
      { name: "name", args: [], type: named("String", "SCALAR") }, { name: "friend", args: [], type: named("User") }] },
    { kind: "ENUM", name: "Role", enumValues: [{ name: "ADMIN" }, { name: "GUEST" }] },
    { kind: "INPUT_OBJECT", name: "Where", inputFields: [input("role", named("Role", "ENUM")), input("not", named("Where", "INPUT_OBJECT"))] },
  ],
});
const at = (text) => completions(text.replace("|", ""), text.indexOf("|"), schema).options.map((one) => one.label);
assert.deepEqual(at("|"), ["query", "fragment"]);
assert.deepEqual(at("{ | }"), ["user", "users", "__typename"]);
assert.deepEqual(at("{ us| }"), ["user", "users"]);
assert.deepEqual(at("{ a: us| }"), ["user", "users"]);
assert.deepEqual(at("{ user(|) }"), ["id", "role"]);
assert.deepEqual(at("{ user(id: 1, |) }"), ["role"]);
assert.deepEqual(at("{ user(id: 1, role: |) }"), ["ADMIN", "GUEST"]);
assert.deepEqual(at("query($r: Role) { user(role: $|) }"), ["$r"]);
assert.deepEqual(at("query($r: |) { a }").slice(0, 2), ["Role", "Where"]);
assert.deepEqual(at("{ user(id: 1) { | } }"), ["name", "friend", "__typename"]);
assert.deepEqual(at("{ user { friend { name | } } }"), ["name", "friend", "__typename"]);
assert.deepEqual(at("{ users(where: {|}) }"), ["role", "not"]);
assert.deepEqual(at("{ users(where: {not: {role: |}}) }"), ["ADMIN", "GUEST"]);
assert.deepEqual(at("{ ...| } fragment F on Query { user }"), ["on", "F"]);
assert.deepEqual(at("fragment F on |"), ["Query", "User"]);
assert.deepEqual(at("fragment F on User { | }"), ["name", "friend", "__typename"]);
assert.deepEqual(at("{ user @| }"), ["@skip"]);
assert.deepEqual(at("# us|"), []);

const text = "query A($x: [Int!]! = [1]) { a: user(id: $x, w: {b: 1}) @skip(if: true) { name ... on User { friend { name } } ...F } } # end";
assert.deepEqual(operations(`${text}\nfragment F on User { name }\nsubscription { a }`).map((one) => [one.kind, one.name]),
  [["query", "A"], ["subscription", null]]);
assert.deepEqual(operations("{ a } query B { query }").map((one) => one.name), [null, "B"]);
const once = prettified(text);
assert.equal(prettified(once), once);
assert.equal(prettified("{a b(c:1,d:[1 2]){e}}"), "{\n  a\n  b(c: 1, d: [1, 2]) {\n    e\n  }\n}\n");
for (const [language, wild] of [["graphql", text], ["json", '{"a": [1, "b", nul'], ["graphql", '"""'], ["graphql", "\u0000%~"]]) {
  assert.equal(colours(wild, language).map(([, part]) => part).join(""), wild);
}
const made = skeleton(schema, "query", schema.field("Query", "user"));
assert.equal(made.text, "query User($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}\n");
assert.deepEqual(made.variables, { id: "1" });
