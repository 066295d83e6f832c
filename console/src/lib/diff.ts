// Two texts line by line.

export interface DiffLine { mark: " " | "+" | "-"; text: string; old: number; new: number }

/** The shortest edit from one text to the other (Myers' greedy algorithm). */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = lines(before), b = lines(after);
  const trace: Map<number, number>[] = [];
  let furthest = new Map([[1, 0]]);
  search: for (let d = 0; d <= a.length + b.length; d++) {
    trace.push(new Map(furthest));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
      let x = down ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest.set(k, x);
      if (x >= a.length && x - k >= b.length) break search;
    }
  }
  return walked(a, b, trace);
}

function walked(a: string[], b: string[], trace: Map<number, number>[]): DiffLine[] {
  const found: DiffLine[] = [];
  let x = a.length, y = b.length;
  const same = () => { x--; y--; found.push({ mark: " ", text: a[x]!, old: x + 1, new: y + 1 }); };
  for (let d = trace.length - 1; d > 0; d--) {
    const at = trace[d]!, k = x - y;
    const down = k === -d || (k !== d && (at.get(k - 1) ?? -1) < (at.get(k + 1) ?? -1));
    const fromX = at.get(down ? k + 1 : k - 1) ?? 0, fromY = fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY) same();
    if (down) { y--; found.push({ mark: "+", text: b[y]!, old: 0, new: y + 1 }); }
    else { x--; found.push({ mark: "-", text: a[x]!, old: x + 1, new: 0 }); }
  }
  while (x > 0 && y > 0) same();
  return found.reverse();
}

/** Only what changed and some lines around it; null stands for what is left out. */
export function hunks(diff: DiffLine[], around = 3): (DiffLine | null)[] {
  const near = diff.map((_, place) =>
    diff.slice(Math.max(0, place - around), place + around + 1).some((line) => line.mark !== " "));
  const found: (DiffLine | null)[] = [];
  diff.forEach((line, place) => {
    if (near[place]) found.push(line);
    else if (found.at(-1) !== null) found.push(null);
  });
  return found;
}

function lines(text: string): string[] {
  const found = text.split("\n");
  if (found.at(-1) === "") found.pop();
  return found;
}
