// Where requests of a service can go: what a rule names already, its subsets, its versions.
import { rounded, type Share } from "./edits";
import type { Manifest, ServiceView } from "./types";
import { shortHost } from "./words";

/** The destinations of a route with their shares, then those that it does not use yet. */
export function sharesOf(service: ServiceView, rule: Manifest, index: number): Share[] {
  const routes: any[] = rule.spec.http?.[index]?.route ?? [];
  const total = routes.reduce((sum, each) => sum + (each.weight ?? 0), 0);
  const used: Share[] = routes.map((each) => ({
    host: each.destination.host, subset: each.destination.subset ?? "",
    weight: routes.length === 1 ? 100 : total ? Math.round((100 * (each.weight ?? 0)) / total) : 0,
  }));
  const host = hostFor(service, used);
  const names = choices(service);
  const others = names.filter((subset) => !used.some((each) => each.subset === subset || (!each.subset && each.host.endsWith(`-${subset}`))))
    .map((subset) => ({ host, subset, weight: 0 }));
  // A route to the whole service becomes one to its versions, each with the share that it has.
  if (used.length === 1 && !used[0]!.subset && isOwn(service, used[0]!.host)) {
    const sizes = names.map((name) => sizeOf(service, name));
    const all = sizes.reduce((sum, size) => sum + size, 0);
    const weights = rounded(sizes.map((size) => (all ? (100 * size) / all : 100 / sizes.length)));
    return names.length > 1 ? names.map((subset, place) => ({ host, subset, weight: weights[place]! })) : used;
  }
  return [...used, ...others];
}

/** The names of the subsets, and of the versions that have none yet. */
export function choices(service: ServiceView): string[] {
  const versions = service.summary.versions.filter((version) => !service.subsets.some((each) => each.labels.version === version));
  return [...new Set([...service.subsets.map((each) => each.name), ...versions])].sort();
}

/** The versions that shares name and that no subset is there for yet. */
export function missingVersions(service: ServiceView, names: readonly string[]): string[] {
  return service.summary.versions.filter((version) => names.includes(version) && !service.subsets.some((each) => each.name === version));
}

function isOwn(service: ServiceView, host: string): boolean {
  return host === service.summary.host || host === shortHost(service.summary.host);
}

function hostFor(service: ServiceView, used: readonly Share[]): string {
  return used.find((each) => isOwn(service, each.host))?.host ?? shortHost(service.summary.host);
}

/** How many endpoints a subset, or a version without one, has. */
function sizeOf(service: ServiceView, name: string): number {
  const subset = service.subsets.find((each) => each.name === name);
  return subset ? subset.endpoints : service.endpoints.filter((each) => each.version === name).length;
}
