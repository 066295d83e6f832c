// What the wizards make of objects: each takes a manifest and returns the changed one.
import type { Manifest } from "./types";

export interface Share { host: string; subset: string; weight: number }
type Route = Record<string, any>;

/** Weights after one was moved: the others give or take in proportion, and the sum stays 100. */
export function rebalanced(weights: readonly number[], moved: number, to: number): number[] {
  const value = Math.max(0, Math.min(100, Math.round(to)));
  if (weights.length < 2) return [100];
  const others = weights.reduce((sum, weight, index) => (index === moved ? sum : sum + weight), 0);
  const rest = 100 - value;
  const exact = weights.map((weight, index) =>
    index === moved ? value : others ? (rest * weight) / others : rest / (weights.length - 1));
  return rounded(exact, moved);
}

/** Whole numbers with the sum 100; what rounding leaves goes to those that lost most by it. */
export function rounded(exact: readonly number[], fixed = -1): number[] {
  const found = exact.map(Math.floor);
  let left = 100 - found.reduce((sum, each) => sum + each, 0);
  const order = exact.map((each, index) => ({ index, lost: each - Math.floor(each) }))
    .filter((each) => each.index !== fixed).sort((a, b) => b.lost - a.lost || a.index - b.index);
  for (let place = 0; left > 0 && order.length; place = (place + 1) % order.length, left--) found[order[place]!.index]!++;
  return found;
}

export function newVirtualService(name: string, namespace: string, host: string): Manifest {
  return {
    apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: { name, namespace },
    spec: { hosts: [host], http: [{ route: [{ destination: { host } }] }] },
  };
}

/** The rule with a subset for each version, by the label `version`; those it has stay. */
export function withSubsets(rule: Manifest | null, name: string, namespace: string, host: string, versions: readonly string[]): Manifest {
  const base = rule ?? { apiVersion: "networking.istio.io/v1", kind: "DestinationRule", metadata: { name, namespace }, spec: { host } };
  const subsets: any[] = base.spec.subsets ?? [];
  const missing = versions.filter((version) => !subsets.some((each) => each.labels?.version === version));
  return { ...base, spec: { ...base.spec, subsets: [...subsets, ...missing.map((version) => ({ name: version, labels: { version } }))] } };
}

function withRoute(rule: Manifest, index: number, change: (route: Route) => Route): Manifest {
  const http = (rule.spec.http ?? []).map((route: Route, place: number) => (place === index ? change(route) : route));
  return { ...rule, spec: { ...rule.spec, http } };
}

function without(route: Route, ...names: string[]): Route {
  return Object.fromEntries(Object.entries(route).filter(([name]) => !names.includes(name)));
}

/** One HTTP route sends its requests in these shares. What else a destination says stays. */
export function withShares(rule: Manifest, index: number, shares: readonly Share[]): Manifest {
  return withRoute(rule, index, (route) => {
    const known: any[] = route.route ?? [];
    const kept = shares.filter((share) => share.weight > 0 || known.some((each) => same(each.destination, share)));
    const split = kept.map((share) => {
      const old = known.find((each) => same(each.destination, share)) ?? known.find((each) => each.destination?.host === share.host);
      const port = old?.destination?.port;
      const destination = { host: share.host, ...(share.subset ? { subset: share.subset } : {}), ...(port ? { port } : {}) };
      const extra = old && same(old.destination, share) ? without(old, "destination", "weight") : {};
      return { destination, ...(kept.length > 1 ? { weight: share.weight } : {}), ...extra };
    });
    return { ...route, route: split };
  });
}

function same(destination: { host?: string; subset?: string } | undefined, share: Share): boolean {
  return destination?.host === share.host && (destination?.subset ?? "") === share.subset;
}

export interface Condition { on: "header" | "path" | "method" | "query"; how: "exact" | "prefix" | "regex"; name: string; value: string }

/** A new first route: requests that fit all conditions go to one destination. */
export function withFirstRoute(rule: Manifest, conditions: readonly Condition[], to: { host: string; subset: string }): Manifest {
  const match: Record<string, any> = {};
  for (const { on, how, name, value } of conditions) {
    if (!value || ((on === "header" || on === "query") && !name)) continue;
    if (on === "header") (match.headers ??= {})[name] = { [how]: value };
    else if (on === "query") (match.queryParams ??= {})[name] = { [how]: value };
    else match[on === "path" ? "uri" : "method"] = { [how]: value };
  }
  const destination = { host: to.host, ...(to.subset ? { subset: to.subset } : {}) };
  const first = { ...(Object.keys(match).length ? { match: [match] } : {}), route: [{ destination }] };
  return { ...rule, spec: { ...rule.spec, http: [first, ...(rule.spec.http ?? [])] } };
}

export interface Fault { delay: number; delayShare: number; abort: number; abortShare: number }

/** Delay (seconds) and abort (status) of a share of the requests in percent; 0 is none. */
export function withFault(rule: Manifest, index: number, fault: Fault): Manifest {
  return withRoute(rule, index, (route) => {
    const delay = fault.delay > 0 && fault.delayShare > 0
      ? { delay: { percentage: { value: fault.delayShare }, fixedDelay: `${fault.delay}s` } } : {};
    const abort = fault.abort > 0 && fault.abortShare > 0
      ? { abort: { percentage: { value: fault.abortShare }, httpStatus: fault.abort } } : {};
    const injected = { ...delay, ...abort };
    const rest = without(route, "fault");
    return Object.keys(injected).length ? { ...rest, fault: injected } : rest;
  });
}

export function faultOf(route: Route | undefined): Fault {
  const { delay, abort } = route?.fault ?? {};
  return {
    delay: seconds(delay?.fixedDelay), delayShare: delay ? (delay.percentage?.value ?? 100) : 10,
    abort: abort?.httpStatus ?? 0, abortShare: abort ? (abort.percentage?.value ?? 100) : 10,
  };
}

export interface Resilience { timeout: string; attempts: string; perTry: string; on: string }

/** Texts as people type them; "" leaves the field out. */
export function withResilience(rule: Manifest, index: number, { timeout, attempts, perTry, on }: Resilience): Manifest {
  return withRoute(rule, index, (route) => {
    const kept = without(route.retries ?? {}, "attempts", "perTryTimeout", "retryOn");
    const retries = {
      ...(attempts ? { attempts: Number(attempts) } : {}), ...(perTry ? { perTryTimeout: perTry } : {}),
      ...(on ? { retryOn: on } : {}), ...kept,
    };
    const rest = without(route, "timeout", "retries");
    return { ...rest, ...(timeout ? { timeout } : {}), ...(Object.keys(retries).length ? { retries } : {}) };
  });
}

export function resilienceOf(route: Route | undefined): Resilience {
  const retries = route?.retries ?? {};
  return { timeout: route?.timeout ?? "", attempts: retries.attempts === undefined ? "" : String(retries.attempts), perTry: retries.perTryTimeout ?? "", on: retries.retryOn ?? "" };
}

/** `1.5s`, `200ms` or `1m` in seconds; 0 for nothing. */
export function seconds(duration: string | undefined): number {
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };
  return [...(duration ?? "").matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce((sum, found) => sum + Number(found[1]) * units[found[2]!]!, 0);
}
