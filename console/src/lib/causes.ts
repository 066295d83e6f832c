// Where what is wrong has its cause: the page that shows it, and what is to be seen there.
import { objectUrl, proxyUrl, serviceUrl } from "./router";
import type { Trouble } from "./types";
import { keyText } from "./words";

export function causeUrl(of: Trouble): string {
  if (of.object) return objectUrl(of.object, of.field ? { at: of.field } : of.object.kind === "Pod" ? { tab: "status" } : {});
  if (of.view === "authority") return "/security?tab=certificates";
  if (of.proxy) return of.proxy === "*" ? "/proxies" : proxyUrl(of.proxy);
  if (!of.service) return "/configuration";
  const [namespace, host] = placeOf(of.service);
  return serviceUrl(namespace, host);
}

/** What the link leads to, in words. */
export function causeText(of: Trouble): string {
  if (of.object) return [keyText(of.object), of.field].filter(Boolean).join(" · ");
  if (of.view === "authority") return "certificate authority";
  if (of.proxy) return of.proxy === "*" ? "all proxies" : `proxy ${of.proxy.split("~")[2] ?? of.proxy}`;
  return of.service && `service ${placeOf(of.service)[1]}`;
}

function placeOf(service: string): [string, string] {
  const slash = service.indexOf("/");
  return [service.slice(0, slash), service.slice(slash + 1)];
}
