// The drawn graph: seen through a camera that mouse, fingers and keys move.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { begun, type Camera, curveOf, fitted, hit, moved, onPlane, zoomed } from "../lib/graph/camera";
import type { Layout } from "../lib/graph/layout";
import type { Graph } from "../lib/graph/model";
import { coloursOf, dotsOf, type Look, paintDots, paintScene, type Scene } from "../lib/graph/paint";
import { Icon } from "../ui/icons";

const STEP = 60, ZOOM = 1.25, STILL = 5, REACH = 9;

export function GraphCanvas({ graph, layout, look, moving, said, onPick, onOpen }: {
  graph: Graph; layout: Layout; look: Omit<Look, "hovered">; moving: boolean; said: string;
  onPick: (id: string) => void; onOpen: (id: string) => void;
}) {
  const box = useRef<HTMLDivElement>(null), scenery = useRef<HTMLCanvasElement>(null), motion = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [camera, setCamera] = useState<Camera>({ left: 0, top: 0, scale: 1 });
  const [hovered, hover] = useState("");
  const [colours, setColours] = useState<Record<string, string>>({});
  const own = useRef(false); // whether somebody has moved the camera
  // A version stands below its service: no line leads from that to it.
  const cards = useMemo(() => new Map(graph.nodes.map((node) => [node.id, node.card])), [graph]);
  const curves = useMemo(() => new Map(graph.edges.flatMap((edge) => {
    const from = layout.places.get(edge.source), to = layout.places.get(edge.target);
    return from && to && cards.get(edge.target) !== edge.source ? [[edge.id, curveOf(from, to)] as const] : [];
  })), [graph, layout]);
  const ratio = Math.min(2, devicePixelRatio || 1);
  const scene: Scene = { graph, layout, curves, colours, look: { ...look, hovered } };

  useLayoutEffect(() => {
    const watcher = new ResizeObserver(() => setSize({ width: box.current!.clientWidth, height: box.current!.clientHeight }));
    watcher.observe(box.current!);
    return () => watcher.disconnect();
  }, []);
  useLayoutEffect(() => {
    const read = () => setColours(coloursOf(box.current!));
    read();
    const watcher = new MutationObserver(read), scheme = matchMedia("(prefers-color-scheme: dark)");
    watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    scheme.addEventListener("change", read);
    return () => { watcher.disconnect(); scheme.removeEventListener("change", read); };
  }, []);
  const fit = () => {
    const all = fitted(layout, size);
    own.current = all.scale !== begun(layout, size).scale;
    setCamera(all);
  };
  useLayoutEffect(() => { if (size.width && !own.current) setCamera(begun(layout, size)); }, [layout, size]);
  useLayoutEffect(() => {
    const context = scenery.current?.getContext("2d");
    if (context && colours.bg) paintScene(context, scene, camera, ratio);
  }, [graph, layout, curves, camera, size, colours, look, hovered]);
  useMotion(motion.current, scene, camera, ratio, moving);

  const move = (change: (before: Camera) => Camera) => { own.current = true; setCamera(change); };
  const centre = { x: size.width / 2, y: size.height / 2 };
  const pointers = usePointers({
    onDrag: (x, y) => move((before) => moved(before, x, y)),
    onZoom: (factor, at) => move((before) => zoomed(before, factor, at)),
    onTap: (at) => onPick(under(at) ?? ""),
    onHover: (at) => hover(at ? under(at) ?? "" : ""),
  });
  function under(at: { x: number; y: number }): string | undefined {
    return hit(onPlane(camera, at), layout, curves, REACH / camera.scale);
  }
  useEffect(() => {
    // Preact's listeners are passive for wheels, and the page must not scroll meanwhile.
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const at = inside(event);
      move((before) => zoomed(before, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), at));
    };
    const element = box.current!;
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => move((before) => moved(before, STEP, 0)), ArrowRight: () => move((before) => moved(before, -STEP, 0)),
      ArrowUp: () => move((before) => moved(before, 0, STEP)), ArrowDown: () => move((before) => moved(before, 0, -STEP)),
      "+": () => move((before) => zoomed(before, ZOOM, centre)), "=": () => move((before) => zoomed(before, ZOOM, centre)),
      "-": () => move((before) => zoomed(before, 1 / ZOOM, centre)), "0": fit,
      n: () => step(1), b: () => step(-1), Escape: () => onPick(""), Enter: () => look.picked && onOpen(look.picked),
    };
    const act = keys[event.key];
    if (act) { event.preventDefault(); event.stopPropagation(); act(); }
  };
  /** Picks the next node, by columns and then from top to bottom. */
  const step = (by: number) => {
    const ids = [...layout.places].sort(([, a], [, b]) => a.x - b.x || a.y - b.y).map(([id]) => id);
    const at = ids.indexOf(look.picked);
    onPick(ids[(at + by + ids.length + (at < 0 && by < 0 ? 1 : 0)) % ids.length] ?? "");
  };
  const pixels = { width: Math.round(size.width * ratio), height: Math.round(size.height * ratio) };
  return (
    <div class={`plane ${hovered ? "over" : ""}`} ref={box} tabIndex={0} role="application" aria-roledescription="graph" aria-label={said}
      onKeyDown={onKey} {...pointers} onDblClick={(event) => { const id = under(inside(event)); if (id) onOpen(id); }}>
      <canvas ref={scenery} {...pixels} aria-hidden="true" /><canvas ref={motion} {...pixels} aria-hidden="true" />
      <div class="lens" onPointerDown={(event) => event.stopPropagation()} onDblClick={(event) => event.stopPropagation()}>
        <button class="btn small" type="button" aria-label="Zoom in" onClick={() => move((before) => zoomed(before, ZOOM, centre))}><Icon name="plus" /></button>
        <button class="btn small" type="button" aria-label="Zoom out" onClick={() => move((before) => zoomed(before, 1 / ZOOM, centre))}><Icon name="minus" /></button>
        <button class="btn small" type="button" aria-label="Show all" onClick={fit}><Icon name="fit" /></button>
      </div>
    </div>
  );
}

function useMotion(canvas: HTMLCanvasElement | null, scene: Scene, camera: Camera, ratio: number, moving: boolean): void {
  const dots = useMemo(() => dotsOf(scene), [scene.graph, scene.curves, scene.look.hovered, scene.look.picked, scene.look.found, scene.look.labels]);
  const latest = useRef({ dots, camera, colours: scene.colours });
  latest.current = { dots, camera, colours: scene.colours };
  useEffect(() => {
    const context = canvas?.getContext("2d");
    if (!context) return;
    if (!moving) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      return;
    }
    let frame = 0;
    const draw = (now: number) => {
      const { dots, camera, colours } = latest.current;
      paintDots(context, dots, colours, camera, ratio, now / 1000);
      frame = requestAnimationFrame(draw);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [canvas, moving, ratio]);
}

interface Point { x: number; y: number }

/** One pointer drags, two pinch, and one that stays where it is taps. */
function usePointers({ onDrag, onZoom, onTap, onHover }: {
  onDrag: (x: number, y: number) => void; onZoom: (factor: number, at: Point) => void; onTap: (at: Point) => void; onHover: (at: Point | undefined) => void;
}) {
  const down = useRef(new Map<number, Point>()), began = useRef<Point | undefined>(undefined);
  return {
    onPointerDown: (event: PointerEvent) => {
      if (event.button) return;
      const at = inside(event);
      began.current = down.current.size ? undefined : at;
      down.current.set(event.pointerId, at);
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent) => {
      const at = inside(event), before = down.current.get(event.pointerId);
      if (!before) return onHover(at);
      if (began.current && apart(began.current, at) < STILL) return;
      began.current = undefined;
      const [other] = [...down.current].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      down.current.set(event.pointerId, at);
      if (other) onZoom(apart(other, at) / (apart(other, before) || 1), { x: (other.x + at.x) / 2, y: (other.y + at.y) / 2 });
      else onDrag(at.x - before.x, at.y - before.y);
    },
    onPointerUp: (event: PointerEvent) => {
      if (began.current && down.current.size === 1) onTap(began.current);
      began.current = undefined;
      down.current.delete(event.pointerId);
    },
    onPointerCancel: (event: PointerEvent) => { began.current = undefined; down.current.delete(event.pointerId); },
    onPointerLeave: () => onHover(undefined),
  };
}

function inside(event: MouseEvent): Point {
  const box = (event.currentTarget as Element).getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function apart(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
