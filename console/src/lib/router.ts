// A URL for each view, with its filters in the query.
import { useEffect, useState } from "preact/hooks";
import type { Key } from "./types";

const listeners = new Set<() => void>();

export function go(url: string, replace = false): void {
  if (url === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  listeners.forEach((tell) => tell());
}

export function useUrl(): URL {
  const [url, set] = useState(location.href);
  useEffect(() => {
    const tell = () => set(location.href);
    listeners.add(tell);
    addEventListener("popstate", tell);
    return () => { listeners.delete(tell); removeEventListener("popstate", tell); };
  }, []);
  return new URL(url);
}

/** Links of the console change the view; all others, and new tabs, are the browser's. */
export function onLink(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.target || link.origin !== location.origin || link.pathname.startsWith("/v1/")) return;
  if (link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
  scrollTo(0, 0);
}

export function setQuery(changes: Record<string, string>): void {
  go(withQuery(location.pathname, location.search, changes), true);
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
