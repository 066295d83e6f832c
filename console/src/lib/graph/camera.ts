// How the plane of the layout is seen: what is where on the screen, and the curves between nodes.
import { type Layout, type Place, WIDTH } from "./layout";

/** A point (x, y) of the plane is at ((x - left) * scale, (y - top) * scale) of the screen. */
export interface Camera { left: number; top: number; scale: number }
export interface Size { width: number; height: number }
/** A cubic Bézier curve: two ends and what pulls at each. */
export type Curve = readonly [Place, Place, Place, Place];

const BELOW = 130;
// What a small screen shows at first: names can be read, and a finger moves the rest into view.
const NARROW = 600, READABLE = 0.5;
const SMALLEST = 0.08, LARGEST = 2.5, MARGIN = 24, FIT_LARGEST = 1.15;

export function fitted(layout: Size, screen: Size): Camera {
  const fit = Math.min((screen.width - 2 * MARGIN) / (layout.width || 1), (screen.height - 2 * MARGIN) / (layout.height || 1));
  const scale = Math.min(FIT_LARGEST, Math.max(SMALLEST, fit));
  return { scale, left: layout.width / 2 - screen.width / 2 / scale, top: layout.height / 2 - screen.height / 2 / scale };
}

/** All of it, except where that would be too small to read on a small screen: then it is where calls begin. */
export function begun(layout: Size, screen: Size): Camera {
  const all = fitted(layout, screen);
  if (screen.width > NARROW || all.scale >= READABLE) return all;
  return { scale: READABLE, left: -MARGIN / READABLE, top: layout.height / 2 - screen.height / 2 / READABLE };
}

/** Larger or smaller by a factor, so that what is at a point of the screen stays there. */
export function zoomed(camera: Camera, factor: number, at: Place): Camera {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, camera.scale * factor));
  return { scale, left: camera.left + at.x / camera.scale - at.x / scale, top: camera.top + at.y / camera.scale - at.y / scale };
}

export function moved(camera: Camera, x: number, y: number): Camera {
  return { ...camera, left: camera.left - x / camera.scale, top: camera.top - y / camera.scale };
}

export function onPlane(camera: Camera, at: Place): Place {
  return { x: at.x / camera.scale + camera.left, y: at.y / camera.scale + camera.top };
}

/** Calls leave to the right and arrive from the left; those that go back pass below. */
export function curveOf(from: Place, to: Place): Curve {
  const start = { x: from.x + WIDTH / 2, y: from.y }, end = { x: to.x - WIDTH / 2 - 6, y: to.y };
  if (end.x > start.x) {
    const pull = (end.x - start.x) / 2;
    return [start, { x: start.x + pull, y: start.y }, { x: end.x - pull, y: end.y }, end];
  }
  const depth = Math.max(start.y, end.y) + BELOW;
  return [start, { x: start.x + BELOW, y: depth }, { x: end.x - BELOW, y: depth }, end];
}

export function pointOn([a, b, c, d]: Curve, t: number): Place {
  const s = 1 - t, wa = s * s * s, wb = 3 * s * s * t, wc = 3 * s * t * t, wd = t * t * t;
  return { x: wa * a.x + wb * b.x + wc * c.x + wd * d.x, y: wa * a.y + wb * b.y + wc * c.y + wd * d.y };
}

/** The node at a point of the plane, or else the edge that is within `reach` of it. */
export function hit(at: Place, layout: Layout, curves: ReadonlyMap<string, Curve>, reach: number): string | undefined {
  for (const [id, place] of layout.places) {
    if (Math.abs(at.x - place.x) <= WIDTH / 2 && Math.abs(at.y - place.y) <= layout.heights.get(id)! / 2) return id;
  }
  let found: string | undefined, nearest = reach;
  for (const [id, curve] of curves) {
    for (let step = 0; step <= 24; step++) {
      const point = pointOn(curve, step / 24), distance = Math.hypot(point.x - at.x, point.y - at.y);
      if (distance < nearest) { nearest = distance; found = id; }
    }
  }
  return found;
}
