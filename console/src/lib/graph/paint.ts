// Draws the graph on a canvas: what stands still when something changes, and what moves in every frame.
import { milliseconds, percent, rate } from "../words";
import { type Camera, type Curve, pointOn } from "./camera";
import type { Traffic } from "../types";
import { HEIGHT, type Layout, type Place, WIDTH } from "./layout";
import { type Graph, type GraphEdge, type GraphNode, healthOf, volume } from "./model";

export type Labels = "rate" | "share" | "p50" | "p95" | "p99" | "none";
export interface Palette { [name: string]: string }
export interface Look { labels: Labels; locks: boolean; picked: string; hovered: string; found: ReadonlySet<string> | undefined }
export interface Scene { graph: Graph; layout: Layout; curves: ReadonlyMap<string, Curve>; look: Look; colours: Palette }

const NAMES = ["bg", "panel", "sunken", "line", "line-strong", "text", "soft", "faint", "accent", "accent-bg", "good", "warn", "bad", "info"];
// Below these scales text cannot be read.
const NAMES_FROM = 0.38, LABELS_FROM = 0.55;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

/** The colours of the page as they are now; canvases know nothing of variables. */
export function coloursOf(element: Element): Palette {
  const probe = element.ownerDocument.createElement("span"), found: Palette = {};
  element.append(probe);
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

export function isTcp(traffic: Traffic): boolean {
  return !traffic.requests && traffic.connectionsOpened + traffic.connectionsClosed + traffic.sentBytes > 0;
}

function tone(edge: GraphEdge): string {
  const health = healthOf(edge.traffic);
  return health === "idle" ? "line-strong" : isTcp(edge.traffic) ? "info" : health;
}

/** The lines of an edge's label. */
export function labelOf(edge: GraphEdge, labels: Labels, window: number): string[] {
  const { traffic } = edge;
  const shown = labels === "none" ? "" : labels === "share" ? percent(edge.share)
    : isTcp(traffic) ? `${rate((traffic.sentBytes + traffic.receivedBytes) / 1024 / (window || 1))} KB/s`
    : labels === "rate" ? `${rate(traffic.requestsPerSecond)}/s` : traffic.latency ? milliseconds(traffic.latency[labels]) : "";
  const errors = labels === "rate" && traffic.errorShare > 0 ? `${percent(100 * traffic.errorShare)} err` : "";
  const weight = /^\d+( \+\d+)?$/.test(edge.weights) ? `weight ${edge.weights}` : edge.weights;
  return [weight, [shown, errors].filter(Boolean).join(" · ")].filter(Boolean);
}

/** Who is to be seen well while something is picked or looked at; undefined: all. */
export function near({ graph, look }: Pick<Scene, "graph" | "look">): Set<string> | undefined {
  const of = look.hovered || look.picked;
  if (!of) return look.found?.size ? new Set(look.found) : undefined;
  const found = new Set([of]);
  for (const edge of graph.edges) {
    if (edge.id === of || edge.source === of || edge.target === of) [edge.id, edge.source, edge.target].forEach((id) => found.add(id));
  }
  return found;
}

export function paintScene(context: CanvasRenderingContext2D, scene: Scene, camera: Camera, ratio: number): void {
  const { graph, layout, colours } = scene, shown = near(scene);
  start(context, camera, ratio);
  for (const box of layout.boxes) {
    panel(context, box.x, box.y, box.width, box.height, 12);
    context.fillStyle = colours.sunken!;
    context.globalAlpha = 0.55;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = colours.line!;
    context.lineWidth = 1;
    context.stroke();
    const size = Math.min(box.width / 5, Math.max(12, 11.5 / camera.scale));
    // Within the box while there is room above its nodes, and on top of it when it is seen from afar.
    write(context, box.name, box.x + (size < 18 ? 12 : 0), size < 18 ? box.y + 5 + size / 2 : box.y - size * 0.7, `600 ${size}px ${FONT}`, colours.soft!, Math.max(box.width - 20, size * 8));
  }
  for (const card of layout.cards) {
    context.globalAlpha = shown && !shown.has(card.name) ? 0.3 : 1;
    panel(context, card.x, card.y, card.width, card.height, 9);
    context.fillStyle = colours.panel!;
    context.fill();
    const service = graph.nodes.find((node) => node.id === card.name), health = service ? healthOf(service.inbound) : "good", wrong = health === "bad" || health === "warn";
    stroke(context, wrong ? colours[health]! : colours["line-strong"]!, wrong ? 1.6 : 1);
    context.globalAlpha = 1;
  }
  for (const edge of graph.edges) line(context, edge, scene, shown);
  for (const node of graph.nodes) card(context, node, scene, camera.scale, shown);
  if (camera.scale < LABELS_FROM) return;
  for (const edge of graph.edges) if (!shown || shown.has(edge.id)) label(context, edge, scene);
}

function start(context: CanvasRenderingContext2D, camera: Camera, ratio: number): void {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  const scale = camera.scale * ratio;
  context.setTransform(scale, 0, 0, scale, -camera.left * scale, -camera.top * scale);
}

function line(context: CanvasRenderingContext2D, edge: GraphEdge, { graph, curves, colours, look }: Scene, shown: Set<string> | undefined): void {
  const curve = curves.get(edge.id);
  if (!curve) return;
  const [a, b, c, d] = curve, colour = colours[tone(edge)]!;
  context.globalAlpha = shown && !shown.has(edge.id) ? 0.13 : 1;
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = Math.min(5, 1.2 + Math.log10(1 + edge.traffic.requestsPerSecond)) + (edge.id === look.picked ? 2 : 0);
  context.beginPath();
  context.moveTo(a.x, a.y);
  context.bezierCurveTo(b.x, b.y, c.x, c.y, d.x, d.y);
  context.stroke();
  const angle = Math.atan2(d.y - c.y, d.x - c.x), reach = 7;
  context.beginPath();
  context.moveTo(d.x + 5 * Math.cos(angle), d.y + 5 * Math.sin(angle));
  for (const side of [2.6, -2.6]) context.lineTo(d.x + reach * Math.cos(angle + side), d.y + reach * Math.sin(angle + side));
  context.fill();
  if (look.locks && edge.traffic.mutualTls !== null && !look.found?.size) lock(context, pointOn(curve, labelPlace(graph, edge) > 0.5 ? 0.86 : 0.14), edge.traffic.mutualTls, colours);
  context.globalAlpha = 1;
}

function lock(context: CanvasRenderingContext2D, { x, y }: { x: number; y: number }, share: number, colours: Palette): void {
  const closed = share === 1;
  context.beginPath();
  context.arc(x, y, 8, 0, 2 * Math.PI);
  context.fillStyle = colours.panel!;
  context.fill();
  context.strokeStyle = context.fillStyle = closed ? colours.soft! : colours.warn!;
  context.lineWidth = 1.4;
  context.beginPath();
  context.arc(x + (closed ? 0 : 2), y - 1.5, 2.4, Math.PI, closed ? 0 : -0.6);
  context.stroke();
  context.fillRect(x - 3.5, y - 1, 7, 5.2);
}

function card(context: CanvasRenderingContext2D, node: GraphNode, { graph, layout, colours, look }: Scene, scale: number, shown: Set<string> | undefined): void {
  const place = layout.places.get(node.id), height = layout.heights.get(node.id);
  if (!place || !height) return;
  const x = place.x - WIDTH / 2, y = place.y - height / 2, row = height < HEIGHT, marked = node.id === look.picked || look.found?.has(node.id);
  const traffic = volume(node.inbound) ? node.inbound : node.outbound, health = healthOf(traffic), wrong = health === "bad" || health === "warn";
  context.globalAlpha = shown && !shown.has(node.id) ? 0.3 : 1;
  if (row) panel(context, x + 5, y + 1.5, WIDTH - 10, height - 3, 6);
  else panel(context, x, y, WIDTH, height, 9);
  const header = !row && layout.cards.some((each) => each.name === node.id);
  if ((!row && !header) || marked) {
    context.fillStyle = marked ? colours["accent-bg"]! : colours.panel!;
    context.fill();
  }
  if ((!row && !header) || marked) stroke(context, marked ? colours.accent! : wrong ? colours[health]! : colours["line-strong"]!, marked ? 2 : wrong ? 1.6 : 1);
  glyph(context, node, x + 21, place.y, health === "idle" ? colours.faint! : colours[health]!, row ? 0.7 : 1);
  if (scale >= NAMES_FROM) row ? rowText(context, node, graph, place, colours) : cardText(context, node, traffic, place, colours);
  context.globalAlpha = 1;
}

function cardText(context: CanvasRenderingContext2D, node: GraphNode, traffic: Traffic, { x, y }: Place, colours: Palette): void {
  const left = x - WIDTH / 2 + 39, name = node.version && !node.name.endsWith(node.version) ? `${node.name} ${node.version}` : node.name;
  write(context, name, left, y - 8, `600 14px ${FONT}`, colours.text!, WIDTH - 48);
  const errors = traffic.errorShare > 0 ? ` · ${percent(100 * traffic.errorShare)} errors` : "";
  const said = volume(traffic) ? `${traffic.requests ? `${rate(traffic.requestsPerSecond)}/s` : "TCP"}${errors}` : "quiet";
  write(context, said, left, y + 10, `12px ${FONT}`, errors ? colours[healthOf(traffic)]! : colours.soft!, WIDTH - 48);
}

/** A version below its service: what it gets, and how well it goes. */
function rowText(context: CanvasRenderingContext2D, node: GraphNode, graph: Graph, { x, y }: Place, colours: Palette): void {
  const left = x - WIDTH / 2 + 39, edge = graph.edges.find((each) => each.source === node.card && each.target === node.id), traffic = edge?.traffic ?? node.inbound;
  const said = traffic.errorShare > 0 ? `${percent(100 * traffic.errorShare)} err` : traffic.requests ? `${rate(traffic.requestsPerSecond)}/s` : isTcp(traffic) ? "TCP" : "quiet";
  const shares = edge && edge.share < 99.9 ? `${Math.round(edge.share)} % · ${said}` : said;
  const font = `12px ${FONT}`;
  context.font = font;
  const width = context.measureText(shares).width;
  write(context, shares, x + WIDTH / 2 - 13 - width, y + 0.5, font, traffic.errorShare > 0 ? colours[healthOf(traffic)]! : colours.soft!, width + 2);
  write(context, node.version || node.name, left, y + 0.5, `550 12.5px ${FONT}`, colours.text!, WIDTH - 60 - width);
}

function stroke(context: CanvasRenderingContext2D, colour: string, width: number): void {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

/** What kind of node it is, by shape as well as by name: a service is a hexagon, a workload a disc, an app a square. */
function glyph(context: CanvasRenderingContext2D, { kind }: GraphNode, x: number, y: number, colour: string, size: number): void {
  context.beginPath();
  if (kind === "service") for (let corner = 0; corner < 6; corner++) context.lineTo(x + 8.5 * Math.cos((corner * Math.PI) / 3 + Math.PI / 6), y + 8.5 * Math.sin((corner * Math.PI) / 3 + Math.PI / 6));
  else if (kind === "app") context.rect(x - 6.5, y - 6.5, 13, 13);
  else context.arc(x, y, 7 * size, 0, 2 * Math.PI);
  context.closePath();
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = 2;
  kind === "unknown" || kind === "other" ? context.stroke() : context.fill();
}

function label(context: CanvasRenderingContext2D, edge: GraphEdge, { graph, curves, colours, look }: Scene): void {
  const lines = labelOf(edge, look.labels, graph.window), curve = curves.get(edge.id), font = `12px ${FONT}`;
  if (!lines.length || !curve) return;
  const { x, y } = pointOn(curve, labelPlace(graph, edge));
  context.font = font;
  const width = Math.max(...lines.map((text) => context.measureText(text).width)) + 12, height = 4 + 15 * lines.length;
  panel(context, x - width / 2, y - height / 2, width, height, 8);
  context.fillStyle = colours.bg!;
  context.globalAlpha = 0.92;
  context.fill();
  context.globalAlpha = 1;
  lines.forEach((text, index) => {
    const failing = index === lines.length - 1 && look.labels === "rate" && edge.traffic.errorShare > 0;
    write(context, text, x - width / 2 + 6, y - height / 2 + 10 + 15 * index, font, failing ? colours[healthOf(edge.traffic)]! : index < lines.length - 1 ? colours.accent! : colours.soft!, width);
  });
}

/** Nearer to the end where fewer edges meet, so that labels do not cover each other. */
function labelPlace(graph: Graph, edge: GraphEdge): number {
  const known = crowds.get(graph) ?? new Map<string, number>();
  if (!crowds.has(graph)) {
    crowds.set(graph, known);
    for (const { source, target } of graph.edges) for (const end of [`>${source}`, `<${target}`]) known.set(end, (known.get(end) ?? 0) + 1);
  }
  return known.get(`<${edge.target}`)! > known.get(`>${edge.source}`)! ? 0.42 : 0.56;
}
const crowds = new WeakMap<Graph, Map<string, number>>();

function panel(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number, radius: number): void {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
}

function write(context: CanvasRenderingContext2D, text: string, x: number, y: number, font: string, colour: string, room: number): void {
  context.font = font;
  context.fillStyle = colour;
  context.textBaseline = "middle";
  context.fillText(fitting(context, text, font, room), x, y);
}

const short = new Map<string, string>();

/** The text, or its beginning where there is no room for more. Measuring is slow, so it is done once. */
function fitting(context: CanvasRenderingContext2D, text: string, font: string, room: number): string {
  const key = `${font}|${room}|${text}`;
  let found = short.get(key);
  if (found === undefined) {
    found = text;
    while (found.length > 1 && context.measureText(found).width > room) found = found.endsWith("…") ? `${found.slice(0, -2)}…` : `${found.slice(0, -1)}…`;
    if (short.size > 5000) short.clear();
    short.set(key, found);
  }
  return found;
}

/** `label`: where on the curve its label is, under which the dot passes; -1 for none. */
interface Dot { curve: Curve; phase: number; speed: number; tone: string; label: number }
const MOST_DOTS = 600, UNDER = 0.14;

/** What moves: more dots for more requests, slower ones for slower answers, and errors in their colour. */
export function dotsOf({ graph, curves, look }: Pick<Scene, "graph" | "curves" | "look">): Dot[] {
  const shown = near({ graph, look });
  const busy = graph.edges.filter((edge) => volume(edge.traffic) && curves.has(edge.id) && (!shown || shown.has(edge.id)));
  const most = Math.max(1, Math.min(5, Math.floor(MOST_DOTS / (busy.length || 1))));
  return busy.flatMap((edge) => {
    const number = Math.min(most, 1 + Math.floor(Math.log2(1 + edge.traffic.requestsPerSecond)));
    const failing = edge.traffic.errorShare ? Math.max(1, Math.round(number * edge.traffic.errorShare)) : 0;
    const speed = 0.55 / (1 + Math.log10(1 + (edge.traffic.latency?.p50 ?? 1)) / 2);
    return Array.from({ length: number }, (_, index) => ({
      curve: curves.get(edge.id)!, speed, label: look.labels === "none" ? -1 : labelPlace(graph, edge), phase: index / number, tone: index < failing ? "bad" : isTcp(edge.traffic) ? "info" : "good",
    }));
  });
}

/** `seconds`: of the animation; a dot of speed 1 needs one for its curve. */
export function paintDots(context: CanvasRenderingContext2D, dots: readonly Dot[], colours: Palette, camera: Camera, ratio: number, seconds: number): void {
  start(context, camera, ratio);
  const radius = Math.max(3, 2 / camera.scale);
  for (const tone of ["good", "info", "bad"]) {
    context.fillStyle = colours[tone]!;
    context.beginPath();
    for (const dot of dots) {
      if (dot.tone !== tone) continue;
      const at = (dot.phase + seconds * dot.speed) % 1;
      if (camera.scale >= LABELS_FROM && Math.abs(at - dot.label) < UNDER) continue;
      const { x, y } = pointOn(dot.curve, at);
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
    context.fill();
  }
}
