// What may stand at a place of a manifest, from the JSON Schema of its kind.

export interface Schema {
  $ref?: string; $defs?: Record<string, Schema>; type?: string | string[]; description?: string;
  properties?: Record<string, Schema>; required?: string[]; items?: Schema | boolean; prefixItems?: Schema[];
  additionalProperties?: Schema | boolean; anyOf?: Schema[]; enum?: unknown[]; format?: string; default?: unknown;
}

/** Where a cursor is: the keys that lead there, and the key whose value it is in, if it is in one. */
export interface Spot { path: string[]; value: string | null; word: string; taken: string[] }

const LINE = /^(\s*)((?:- +)*)(?:("?)([\w./-]+)\3:)?/;

interface Keyed { indent: number; key: string | undefined; dashes: boolean; blank: boolean }

function keyed(line: string): Keyed {
  const found = LINE.exec(line)!;
  const blank = !line.trim() || line.trim().startsWith("#");
  return { indent: found[1]!.length + found[2]!.length, key: found[4], dashes: !!found[2], blank };
}

/** Read the place from the text above the cursor (block style, as people write manifests). */
export function spotAt(text: string, offset: number): Spot {
  const before = text.slice(0, offset);
  const lines = before.split("\n");
  const current = lines.pop()!;
  const inValue = /^(\s*(?:- +)*)"?([\w./-]+)"?:\s+(.*)$/.exec(current);
  let indent = inValue ? inValue[1]!.length : keyed(current).indent;
  // The value of a list item: `- rev|` below `hosts:`.
  const word = inValue ? inValue[3]! : current.slice(indent).replace(/^["']/, "");
  const dashed = keyed(current).dashes;
  const path: string[] = [], taken: string[] = [];
  let level = indent, siblings = !dashed;
  for (let place = lines.length - 1; place >= 0 && level > 0; place--) {
    const line = keyed(lines[place]!);
    if (line.blank || line.key === undefined) continue;
    if (line.indent === level && siblings) {
      taken.push(line.key);
      if (line.dashes) siblings = false;
    } else if (line.indent < level) {
      path.unshift(line.key);
      level = line.indent;
      siblings = false;
    }
  }
  if (level === 0 && indent === 0) lines.forEach((line) => { const { key, indent } = keyed(line); if (key && !indent) taken.push(key); });
  return { path, value: inValue ? inValue[2]! : null, word, taken };
}

/** The schema at a path; lists are passed through to their items. */
export function schemaAt(root: Schema, path: readonly string[]): Schema | null {
  let at: Schema | null = plain(root, root);
  for (const key of path) {
    if (!at) return null;
    const named: Schema | undefined = at.properties?.[key];
    const rest: Schema | boolean | undefined = at.additionalProperties;
    const next: Schema | null = named ?? (typeof rest === "object" ? rest : null);
    at = next && plain(root, next);
  }
  return at;
}

/** The same without references, alternatives of null, and lists around it. */
function plain(root: Schema, schema: Schema): Schema {
  let at = schema;
  for (let steps = 0; steps < 20; steps++) {
    if (at.$ref) at = root.$defs?.[at.$ref.split("/").pop()!] ?? {};
    else if (at.anyOf) at = at.anyOf.find((each) => each.type !== "null") ?? {};
    else if (typeof at.items === "object") at = at.items;
    else return at;
  }
  return at;
}

export interface Option { label: string; detail: string; info: string; apply: string }

/** The fields that may be written at a spot, or the values of one. `known`: names by field. */
export function optionsAt(root: Schema, spot: Spot, known: Record<string, string[]> = {}): Option[] {
  if (spot.value !== null) return valuesOf(root, [...spot.path, spot.value], spot.value, known);
  const schema = schemaAt(root, spot.path);
  if (!schema?.properties) return valuesOf(root, spot.path, spot.path.at(-1) ?? "", known);
  return Object.entries(schema.properties)
    .filter(([name]) => !spot.taken.includes(name) && !(name === "status" && !spot.path.length))
    .map(([name, field]) => {
      const inner = plain(root, field);
      const listed = isList(root, field);
      const nested = listed || !!inner.properties || !!inner.additionalProperties;
      return {
        label: name,
        detail: (listed ? "list of " : "") + typeName(inner),
        info: inner.description ?? "",
        apply: nested ? `${name}:` : `${name}: `,
      };
    });
}

function valuesOf(root: Schema, path: string[], field: string, known: Record<string, string[]>): Option[] {
  const schema = schemaAt(root, path);
  const values = schema?.enum ?? (schema?.type === "boolean" ? [true, false] : known[field] ?? []);
  return values.map((value) => ({ label: String(value), detail: known[field]?.includes(String(value)) ? "in this mesh" : "", info: "", apply: String(value) }));
}

function isList(root: Schema, schema: Schema): boolean {
  if (schema.items) return true;
  if (schema.anyOf) return schema.anyOf.some((each) => isList(root, each));
  return schema.$ref ? isList(root, root.$defs?.[schema.$ref.split("/").pop()!] ?? {}) : false;
}

function typeName(schema: Schema): string {
  if (schema.enum) return schema.enum.length <= 4 ? schema.enum.join(" | ") : "one of several";
  if (schema.format === "duration") return "duration";
  if (schema.properties) return "object";
  if (schema.additionalProperties) return "map";
  return Array.isArray(schema.type) ? schema.type.join(" | ") : (schema.type ?? "any");
}
