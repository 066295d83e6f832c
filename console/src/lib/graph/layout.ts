// Where everything is: layers from callers to called, each namespace in a box of its own.

export interface Place { x: number; y: number }
export interface Box { name: string; x: number; y: number; width: number; height: number }
/** `places` are centres. */
export interface Layout { places: Map<string, Place>; boxes: Box[]; width: number; height: number }
export interface Arrow { source: string; target: string }

export const WIDTH = 176, HEIGHT = 48;
const ACROSS = 104, DOWN = 26, PADDING = 22, TITLE = 26, BETWEEN = 84, MOST_IN_COLUMN = 14;

/** `boxes`: by node, the box that it is in, "" for none. `before`: where nodes were, whose order is kept. */
export function layoutOf(boxes: ReadonlyMap<string, string>, arrows: readonly Arrow[], before?: Layout): Layout {
  const groups = new Map<string, string[]>();
  for (const [id, box] of boxes) {
    const group = box || id;
    groups.set(group, [...(groups.get(group) ?? []), id]);
  }
  const inner = new Map([...groups].map(([group, ids]) => [group, inside(ids, arrows.filter((each) => groupOf(each.source) === group && groupOf(each.target) === group), before)]));
  function groupOf(id: string): string { return boxes.get(id) || id; }

  const outer = arrows.map((each) => ({ source: groupOf(each.source), target: groupOf(each.target) }));
  const columns = layers([...groups.keys()].sort(), unique(outer), (group) => before?.boxes.find((box) => box.name === group)?.y ?? before?.places.get(group)?.y);
  const heights = columns.map((column) => column.reduce((sum, group) => sum + framed(group).height, 0) + (column.length - 1) * DOWN);
  const height = Math.max(0, ...heights);
  const found: Layout = { places: new Map(), boxes: [], width: 0, height };
  function framed(group: string): { width: number; height: number; frame: boolean } {
    const { width, height } = inner.get(group)!, frame = boxes.get(groups.get(group)![0]!) !== "";
    return frame ? { width: width + 2 * PADDING, height: height + PADDING + TITLE, frame } : { width, height, frame };
  }
  columns.forEach((column, index) => {
    const width = Math.max(...column.map((group) => framed(group).width));
    let y = (height - heights[index]!) / 2;
    for (const group of column) {
      const size = framed(group), x = found.width + (width - size.width) / 2;
      if (size.frame) found.boxes.push({ name: group, x, y, width: size.width, height: size.height });
      for (const [id, place] of inner.get(group)!.places) {
        found.places.set(id, { x: x + place.x + (size.frame ? PADDING : 0), y: y + place.y + (size.frame ? TITLE : 0) });
      }
      y += size.height + DOWN;
    }
    found.width += width + (index < columns.length - 1 ? BETWEEN : 0);
  });
  return found;
}

function inside(ids: readonly string[], arrows: readonly Arrow[], before: Layout | undefined): { places: Map<string, Place>; width: number; height: number } {
  const columns = layers([...ids].sort(), unique(arrows), (id) => before?.places.get(id)?.y).flatMap(wrapped);
  const step = HEIGHT + DOWN, height = Math.max(...columns.map((column) => column.length)) * step - DOWN;
  const places = new Map<string, Place>();
  columns.forEach((column, index) => {
    const start = (height - (column.length * step - DOWN)) / 2;
    column.forEach((id, row) => places.set(id, { x: index * (WIDTH + ACROSS) + WIDTH / 2, y: start + row * step + HEIGHT / 2 }));
  });
  settle(columns, arrows, places, step, height);
  return { places, width: columns.length * (WIDTH + ACROSS) - ACROSS, height };
}

/** A layer with many nodes takes several columns. */
function wrapped(layer: readonly string[]): string[][] {
  const columns = Math.ceil(layer.length / MOST_IN_COLUMN), each = Math.ceil(layer.length / columns);
  return Array.from({ length: columns }, (_, index) => layer.slice(index * each, (index + 1) * each));
}

/** Pull nodes towards those that they are joined with, as far as order and height of the columns allow. */
function settle(columns: readonly string[][], arrows: readonly Arrow[], places: ReadonlyMap<string, Place>, step: number, height: number): void {
  const near = neighbours(arrows);
  for (const column of [...columns, ...columns.toReversed()]) {
    let free = HEIGHT / 2;
    column.forEach((id, row) => {
      const place = places.get(id)!, others = near.get(id) ?? [];
      const wanted = others.length ? mean(others.map((other) => places.get(other)!.y)) : place.y;
      const last = height - HEIGHT / 2 - (column.length - 1 - row) * step;
      place.y = Math.min(Math.max(wanted, free), last);
      free = place.y + step;
    });
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
