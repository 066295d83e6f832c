// A URL for each view, with its filters in the query.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Key } from "./types";

const listeners = new Set<() => void>();
/** Whether the way to an address would lose something. */
type Keeper = (to: URL) => boolean;
const keepers = new Set<Keeper>();
let shown: string | undefined;
let onAsk: (url: string) => void = () => {};

/** The address of the view that is shown. */
function here(): string {
  return (shown ??= location.pathname + location.search);
}

/** `sure`: whatever gets lost. */
export function go(url: string, { replace = false, sure = false } = {}): void {
  if (url === here()) return;
  if (!sure && isKept(url)) { onAsk(url); return; }
  history[replace ? "replaceState" : "pushState"](null, "", url);
  shown = location.pathname + location.search;
  listeners.forEach((tell) => tell());
}

function isKept(url: string): boolean {
  const to = new URL(url, location.origin);
  return [...keepers].some((loses) => loses(to));
}

export function useUrl(): URL {
  const [url, set] = useState(location.href);
  useEffect(() => {
    const tell = () => set(location.href);
    const onBack = () => {
      const to = location.pathname + location.search;
      if (isKept(to)) {
        history.pushState(null, "", here());
        onAsk(to);
      } else {
        shown = to;
        tell();
      }
    };
    listeners.add(tell);
    addEventListener("popstate", onBack);
    return () => { listeners.delete(tell); removeEventListener("popstate", onBack); };
  }, []);
  return new URL(url);
}

/** Ask before a link, a key or the browser's own buttons lead away, while `loses` says that something would be lost. */
export function useKeeper(loses: Keeper): void {
  const latest = useRef(loses);
  latest.current = loses;
  useEffect(() => {
    const keeper: Keeper = (to) => latest.current(to);
    keepers.add(keeper);
    return () => void keepers.delete(keeper);
  }, []);
}

/** Where somebody wants to go and would lose something, "" as long as nobody does. */
export function useAsked(): [string, () => void] {
  const [url, set] = useState("");
  useEffect(() => { onAsk = set; }, []);
  return [url, () => set("")];
}

/** Links of the console change the view; all others, and new tabs, are the browser's. */
export function onLink(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.target || link.origin !== location.origin || link.pathname.startsWith("/v1/")) return;
  if (link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  const before = here();
  go(link.pathname + link.search);
  if (here() !== before) scrollTo(0, 0);
}

export function setQuery(changes: Record<string, string>): void {
  go(withQuery(location.pathname, location.search, changes), { replace: true });
}

/** A URL whose query has these changes; "" takes a parameter away. */
export function withQuery(path: string, search: string, changes: Record<string, string>): string {
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export function objectUrl(key: Key, query: Record<string, string> = {}): string {
  const parts = [key.group || "core", key.kind, key.namespace || "_", key.name];
  return withQuery("/configuration/" + parts.map(encodeURIComponent).join("/"), "", query);
}

export function serviceUrl(namespace: string, host: string, task = ""): string {
  return `/services/${encodeURIComponent(namespace)}/${encodeURIComponent(host)}${task && `/${task}`}`;
}

export function proxyUrl(node: string): string {
  return `/proxies/${encodeURIComponent(node)}`;
}
