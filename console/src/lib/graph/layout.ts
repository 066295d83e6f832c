// Where everything is: layers from callers to called, each namespace in a box of its own.

export interface Place { x: number; y: number }
export interface Box { name: string; x: number; y: number; width: number; height: number }
/** `places` are centres, and `heights` those of the nodes; all are as wide. `cards`: the services that have their workloads below them. */
export interface Layout { places: Map<string, Place>; heights: Map<string, number>; cards: Box[]; boxes: Box[]; width: number; height: number }
export interface Arrow { source: string; target: string }
/** `box`: the namespace, "" for none. `card`: the service that it stands below, "" for none. */
export interface Standing { id: string; box: string; card: string }

export const WIDTH = 190, HEIGHT = 48, ROW = 34;
const ACROSS = 152, DOWN = 24, PADDING = 20, TITLE = 30, BETWEEN = 110, MOST_IN_COLUMN = 12, BELOW = 6;

/** A node that stands for itself, or a card: its service and the workloads below that. */
interface Unit { id: string; box: string; rows: string[]; height: number }

/** `before`: where nodes were, whose order is kept. */
export function layoutOf(nodes: readonly Standing[], arrows: readonly Arrow[], before?: Layout): Layout {
  const units = unitsOf(nodes), unitOf = new Map([...units.values()].flatMap((unit) => [unit.id, ...unit.rows].map((id) => [id, unit])));
  const groupOf = (id: string) => { const unit = unitOf.get(id)!; return unit.box || unit.id; };
  const groups = new Map<string, Unit[]>();
  for (const unit of units.values()) groups.set(groupOf(unit.id), [...(groups.get(groupOf(unit.id)) ?? []), unit]);
  const calls = arrows.map(({ source, target }) => ({ source: unitOf.get(source)!.id, target: unitOf.get(target)!.id }));
  const inner = new Map([...groups].map(([group, members]) => {
    const found = inside(members, unique(calls.filter((each) => groupOf(each.source) === group && groupOf(each.target) === group)), before);
    const frame = members[0]!.box !== "";
    return [group, frame ? { ...found, frame, width: found.width + 2 * PADDING, height: found.height + PADDING + TITLE } : { ...found, frame }];
  }));

  const columns = layers([...groups.keys()].sort(), unique(calls.map((each) => ({ source: groupOf(each.source), target: groupOf(each.target) }))),
    (group) => before?.boxes.find((box) => box.name === group)?.y ?? before?.places.get(group)?.y);
  const heights = columns.map((column) => column.reduce((sum, group) => sum + inner.get(group)!.height + DOWN, -DOWN));
  const found: Layout = { places: new Map(), heights: new Map(), cards: [], boxes: [], width: 0, height: Math.max(0, ...heights) };
  columns.forEach((column, index) => {
    const width = Math.max(...column.map((group) => inner.get(group)!.width));
    let y = (found.height - heights[index]!) / 2;
    for (const group of column) {
      const size = inner.get(group)!, x = found.width + (width - size.width) / 2;
      if (size.frame) found.boxes.push({ name: group, x, y, width: size.width, height: size.height });
      for (const unit of groups.get(group)!) {
        const { x: left, y: middle } = size.places.get(unit.id)!;
        put(found, unit, { x: x + left + (size.frame ? PADDING : 0), y: y + middle + (size.frame ? TITLE : 0) });
      }
      y += size.height + DOWN;
    }
    found.width += width + (index < columns.length - 1 ? BETWEEN : 0);
  });
  return found;
}

function unitsOf(nodes: readonly Standing[]): Map<string, Unit> {
  const ids = new Set(nodes.map((node) => node.id)), units = new Map<string, Unit>();
  for (const { id, box, card } of nodes) if (!ids.has(card)) units.set(id, { id, box, rows: [], height: HEIGHT });
  for (const { id, card } of nodes) units.get(card)?.rows.push(id);
  for (const unit of units.values()) if (unit.rows.length) unit.height = HEIGHT + unit.rows.sort().length * ROW + BELOW;
  return units;
}

function put(into: Layout, { id, rows, height }: Unit, { x, y }: Place): void {
  const top = y - height / 2;
  into.places.set(id, { x, y: top + HEIGHT / 2 });
  into.heights.set(id, HEIGHT);
  rows.forEach((row, index) => {
    into.places.set(row, { x, y: top + HEIGHT + (index + 0.5) * ROW });
    into.heights.set(row, ROW);
  });
  if (rows.length) into.cards.push({ name: id, x: x - WIDTH / 2, y: top, width: WIDTH, height });
}

interface Inside { places: Map<string, Place>; width: number; height: number }

function inside(units: readonly Unit[], arrows: readonly Arrow[], before: Layout | undefined): Inside {
  const known = new Map(units.map((unit) => [unit.id, unit]));
  const columns = layers([...known.keys()].sort(), arrows, (id) => before?.places.get(id)?.y).flatMap(wrapped).map((column) => column.map((id) => known.get(id)!));
  const tall = (column: readonly Unit[]) => column.reduce((sum, unit) => sum + unit.height + DOWN, -DOWN);
  const height = Math.max(...columns.map(tall)), places = new Map<string, Place>();
  columns.forEach((column, index) => {
    let y = (height - tall(column)) / 2;
    for (const unit of column) {
      places.set(unit.id, { x: index * (WIDTH + ACROSS) + WIDTH / 2, y: y + unit.height / 2 });
      y += unit.height + DOWN;
    }
  });
  settle(columns, arrows, places, height);
  return { places, width: columns.length * (WIDTH + ACROSS) - ACROSS, height };
}

/** A layer with many nodes takes several columns. */
function wrapped(layer: readonly string[]): string[][] {
  const columns = Math.ceil(layer.length / MOST_IN_COLUMN), each = Math.ceil(layer.length / columns);
  return Array.from({ length: columns }, (_, index) => layer.slice(index * each, (index + 1) * each));
}

/** Pull nodes towards those that they are joined with, as far as order and height of the columns allow. */
function settle(columns: readonly Unit[][], arrows: readonly Arrow[], places: ReadonlyMap<string, Place>, height: number): void {
  const near = neighbours(arrows);
  for (const column of [...columns, ...columns.toReversed()]) {
    let free = 0, below = column.reduce((sum, unit) => sum + unit.height + DOWN, -DOWN);
    for (const { id, height: own } of column) {
      const place = places.get(id)!, others = near.get(id) ?? [];
      const wanted = others.length ? mean(others.map((other) => places.get(other)!.y)) : place.y;
      place.y = Math.min(Math.max(wanted, free + own / 2), height - below + own / 2);
      free = place.y + own / 2 + DOWN;
      below -= own + DOWN;
    }
  }
}

/** Nodes by how many steps they are from where calls begin; in each layer, near to those they call. `at`: where one was, to keep its place. */
export function layers(ids: readonly string[], arrows: readonly Arrow[], at: (id: string) => number | undefined): string[][] {
  const forward = acyclic(ids, arrows), rank = ranks(ids, forward);
  const found: string[][] = [];
  for (const id of ids) (found[rank.get(id)!] ??= []).push(id);
  const columns = found.filter(Boolean);
  columns.forEach((column) => column.sort((a, b) => (at(a) ?? 0) - (at(b) ?? 0) || (a < b ? -1 : 1)));
  const known = ids.filter((id) => at(id) !== undefined).length;
  // Where all are known already, crossings are not worth that things jump.
  if (known < ids.length) order(columns, neighbours(forward));
  return columns;
}

function order(columns: readonly string[][], near: ReadonlyMap<string, string[]>): void {
  const place = new Map<string, number>();
  const note = (column: readonly string[]) => column.forEach((id, row) => place.set(id, (row + 0.5) / column.length));
  columns.forEach(note);
  for (let sweep = 0; sweep < 6; sweep++) {
    for (const column of sweep % 2 ? columns.toReversed() : columns) {
      const wanted = new Map(column.map((id) => [id, near.has(id) ? mean(near.get(id)!.map((other) => place.get(other)!)) : place.get(id)!]));
      column.sort((a, b) => wanted.get(a)! - wanted.get(b)!);
      note(column);
    }
  }
}

/** The arrows without those that would close a circle. */
function acyclic(ids: readonly string[], arrows: readonly Arrow[]): Arrow[] {
  const out = new Map<string, string[]>(), called = new Set<string>();
  for (const { source, target } of arrows) {
    out.set(source, [...(out.get(source) ?? []), target]);
    called.add(target);
  }
  const state = new Map<string, "open" | "done">(), found: Arrow[] = [];
  const visit = (id: string): void => {
    state.set(id, "open");
    for (const target of out.get(id) ?? []) {
      if (state.get(target) === "open") continue;
      found.push({ source: id, target });
      if (!state.has(target)) visit(target);
    }
    state.set(id, "done");
  };
  for (const id of [...ids.filter((each) => !called.has(each)), ...ids]) if (!state.has(id)) visit(id);
  return found;
}

function ranks(ids: readonly string[], arrows: readonly Arrow[]): Map<string, number> {
  const into = new Map<string, number>(ids.map((id) => [id, 0])), rank = new Map<string, number>(ids.map((id) => [id, 0]));
  const out = new Map<string, string[]>();
  for (const { source, target } of arrows) {
    into.set(target, into.get(target)! + 1);
    out.set(source, [...(out.get(source) ?? []), target]);
  }
  const sources = ids.filter((id) => !into.get(id)), ready = [...sources];
  for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
    for (const target of out.get(id) ?? []) {
      rank.set(target, Math.max(rank.get(target)!, rank.get(id)! + 1));
      into.set(target, into.get(target)! - 1);
      if (!into.get(target)) ready.push(target);
    }
  }
  // Whoever is called by nobody stands beside the first that it calls.
  for (const id of sources) if (out.has(id)) rank.set(id, Math.min(...out.get(id)!.map((target) => rank.get(target)!)) - 1);
  return rank;
}

function neighbours(arrows: readonly Arrow[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const join = (one: string, other: string) => { const known = found.get(one); known ? known.push(other) : found.set(one, [other]); };
  for (const { source, target } of arrows) if (source !== target) { join(source, target); join(target, source); }
  return found;
}

function unique(arrows: readonly Arrow[]): Arrow[] {
  const found = new Map(arrows.filter((each) => each.source !== each.target).map((each) => [`${each.source}→${each.target}`, each]));
  return [...found.values()];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
