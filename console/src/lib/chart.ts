// Charts as numbers: scales and paths, without a pixel of the page.

export interface Line { name: string; tone: string; values: (number | null)[] }
/** Something that happened at a time (seconds), to be marked on the axis. */
export interface Mark { at: number; text: string; url: string }

/** A round number that is not below the highest value: 1, 2 or 5 times a power of ten. */
export function roundTop(values: readonly (number | null)[]): number {
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  if (!highest) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 5, 10].map((times) => times * power).find((top) => top >= highest * (1 - 1e-9))!;
}

/** An SVG path through the points in a box of 100 × 100; gaps where there is no value. */
export function linePath(values: readonly (number | null)[], top: number): string {
  const step = values.length > 1 ? 100 / (values.length - 1) : 0;
  let path = "", open = false;
  values.forEach((value, place) => {
    if (value === null) { open = false; return; }
    path += `${open ? "L" : "M"}${round(place * step)} ${round(100 - (100 * value) / top)}`;
    open = true;
  });
  return path;
}

/** The same, closed down to the axis; for series without gaps. */
export function areaPath(values: readonly (number | null)[], top: number): string {
  const line = linePath(values.map((value) => value ?? 0), top);
  return line && `${line}L100 100L0 100Z`;
}

/** Where a time is between the first and the last one, in percent; null outside. */
export function placeOf(at: number, first: number, last: number): number | null {
  return last <= first || at < first || at > last ? null : round((100 * (at - first)) / (last - first));
}

/** Marks so near to each other that they would cover one another, taken together. */
export function clustered(marks: readonly Mark[], first: number, last: number, apart = 1.5): { place: number; marks: Mark[] }[] {
  const found: { place: number; marks: Mark[] }[] = [];
  for (const mark of [...marks].sort((a, b) => a.at - b.at)) {
    const place = placeOf(mark.at, first, last);
    if (place === null) continue;
    const before = found.at(-1);
    if (before && place - before.place < apart) before.marks.push(mark);
    else found.push({ place, marks: [mark] });
  }
  return found;
}

function round(number: number): number {
  return Math.round(number * 100) / 100;
}
