// The schema, as introspection tells it.

const TYPE = "kind name ofType {kind name ofType {kind name ofType {kind name}}}";
const INPUT = `name description type {${TYPE}} defaultValue`;
export const QUESTION = `query Introspection {
  __schema {
    queryType {name} mutationType {name} subscriptionType {name}
    types {
      kind name description
      fields {name description args {${INPUT}} type {${TYPE}}}
      inputFields {${INPUT}}
      enumValues {name description}
      possibleTypes {name}
    }
    directives {name description locations args {${INPUT}}}
  }
}`;

export class Schema {
  constructor(told) {
    this.types = new Map(told.types.map((type) => [type.name, type]));
    this.roots = {
      query: told.queryType && told.queryType.name,
      mutation: told.mutationType && told.mutationType.name,
      subscription: told.subscriptionType && told.subscriptionType.name,
    };
    this.directives = told.directives;
  }

  type(name) {
    return this.types.get(name) || null;
  }

  // Of an object by its name; what every object has besides is `__typename`.
  field(typeName, name) {
    const type = this.type(typeName);
    if (name === "__typename") return { name, description: "The name of the object's type.", args: [], type: { kind: "SCALAR", name: "String" } };
    return (type && (type.fields || []).find((field) => field.name === name)) || null;
  }

  get shown() {
    return [...this.types.values()].filter((type) => !type.name.startsWith("__"));
  }
}

export const typeText = (type) => {
  if (!type) return "";
  if (type.kind === "NON_NULL") return `${typeText(type.ofType)}!`;
  if (type.kind === "LIST") return `[${typeText(type.ofType)}]`;
  return type.name;
};

export const namedType = (type) => {
  let inner = type;
  while (inner && inner.ofType) inner = inner.ofType;
  return inner ? inner.name : null;
};

export const isRequired = (input) => input.type.kind === "NON_NULL" && input.defaultValue === null;
