// Which share of a service's requests is to go where, by the routes that there are.
import type { Manifest } from "../types";
import type { Split, Weights } from "./model";

/** One destination of a route: `version` is "" where it is the whole service. */
interface Part { host: string; version: string; weight: number }
interface Route { always: boolean; parts: Part[] }

export function weightsIn(objects: readonly Manifest[]): Weights {
  const versions = versionsOf(objects.filter((each) => each.kind === "DestinationRule"));
  const found = new Map<string, Split>();
  const add = (host: string, split: Split | undefined) => { if (split && !found.has(host)) found.set(host, split); };
  for (const rule of inOrder(objects.filter((each) => each.kind === "VirtualService"))) {
    for (const block of ["http", "tcp", "tls"]) {
      const routes = ((rule.spec?.[block] ?? []) as any[]).map((route) => routeOf(rule, route, versions));
      for (const host of hostsOf(routes)) add(host, splitOf(routes, host));
      for (const [host, split] of wholesOf(routes)) add(host, split);
    }
  }
  for (const rule of inOrder(objects.filter((each) => each.spec?.rules?.some?.((some: any) => some.backendRefs)))) {
    const routes = (rule.spec.rules as any[]).map((some) => backendsOf(rule, some));
    for (const [host, split] of wholesOf(routes)) add(host, split);
  }
  return found;
}

/** Proxies in the mesh take the oldest rule of a host; one for gateways alone says nothing to them. */
function inOrder(rules: readonly Manifest[]): Manifest[] {
  const elsewhere = (rule: Manifest) => Number(Boolean(rule.spec?.gateways?.length && !rule.spec.gateways.includes("mesh")));
  const since = (rule: Manifest) => rule.metadata.creationTimestamp ?? "";
  return [...rules].sort((a, b) => elsewhere(a) - elsewhere(b) || since(a).localeCompare(since(b)) || a.metadata.name.localeCompare(b.metadata.name));
}

function versionsOf(rules: readonly Manifest[]): Map<string, string> {
  return new Map(rules.flatMap((rule) => ((rule.spec?.subsets ?? []) as any[]).map((subset) =>
    [`${fullHost(rule.spec.host, rule.metadata.namespace)}|${subset.name}`, String(subset.labels?.version ?? subset.name)] as const)));
}

function routeOf(rule: Manifest, route: any, versions: ReadonlyMap<string, string>): Route {
  const parts = ((route.route ?? []) as any[]).map(({ destination = {}, weight }) => {
    const host = fullHost(destination.host ?? "", rule.metadata.namespace), subset = destination.subset ?? "";
    return { host, version: subset && (versions.get(`${host}|${subset}`) ?? subset), weight: weight ?? 0 };
  });
  return { always: !route.match?.length, parts: inPercent(parts) };
}

function backendsOf(rule: Manifest, { matches = [], backendRefs = [] }: { matches?: unknown[]; backendRefs?: any[] }): Route {
  const parts = backendRefs.filter((each) => (each.kind ?? "Service") === "Service").map((each) =>
    ({ host: fullHost(each.name, each.namespace ?? rule.metadata.namespace), version: "", weight: each.weight ?? 1 }));
  return { always: !matches.length, parts: inPercent(parts) };
}

function inPercent(parts: readonly Part[]): Part[] {
  const all = parts.reduce((sum, { weight }) => sum + weight, 0);
  return parts.map((part) => ({ ...part, weight: parts.length === 1 ? 100 : Math.round((100 * part.weight) / (all || 1)) }));
}

/** The hosts that routes divide into versions. */
function hostsOf(routes: readonly Route[]): Set<string> {
  return new Set(routes.filter(({ parts }) => divides(parts)).map(({ parts }) => parts[0]!.host));
}

function divides(parts: readonly Part[]): boolean {
  return parts.length > 0 && parts.every(({ host, version }) => version && host === parts[0]!.host);
}

/** The route that takes what no other one does, and how many others there are. */
function splitOf(routes: readonly Route[], host: string): Split | undefined {
  const mine = routes.filter(({ parts }) => divides(parts) && parts[0]!.host === host);
  const main = mine.find(({ always }) => always) ?? mine.at(-1)!;
  if (mine.length === 1 && main.parts.length === 1) return undefined;
  const shares = new Map<string, number>();
  for (const { version, weight } of main.parts) shares.set(version, (shares.get(version) ?? 0) + weight);
  return { shares, others: mine.length - 1 };
}

/** Where whole services share the requests, each has the weight that it gets; as the Gateway API splits, too. */
function wholesOf(routes: readonly Route[]): [string, Split][] {
  const splitting = routes.filter(({ parts }) => parts.length > 1 && parts.every(({ version }) => !version));
  const main = splitting.find(({ always }) => always) ?? splitting.at(-1);
  return (main?.parts ?? []).map(({ host, weight }) => [host, { shares: new Map([["", weight]]), others: splitting.length - 1 }]);
}

function fullHost(host: string, namespace = "default"): string {
  return host && !host.includes(".") ? `${host}.${namespace}.svc.cluster.local` : host;
}
