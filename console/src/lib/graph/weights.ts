// Which share each version of a service is to get, by the VirtualServices and DestinationRules that there are.
import type { Manifest } from "../types";
import type { Weights } from "./model";

export function weightsIn(objects: readonly Manifest[]): Weights {
  const versions = new Map<string, string>();
  for (const rule of objects.filter((each) => each.kind === "DestinationRule")) {
    for (const subset of rule.spec?.subsets ?? []) {
      versions.set(`${fullHost(rule.spec.host, rule)}|${subset.name}`, subset.labels?.version ?? subset.name);
    }
  }
  const found = new Map<string, Map<string, number>>();
  for (const rule of objects.filter((each) => each.kind === "VirtualService")) {
    for (const block of ["http", "tcp", "tls"]) {
      // The last route is for what no other one takes.
      const routes: any[] = rule.spec?.[block]?.at(-1)?.route ?? [];
      const host = fullHost(routes[0]?.destination?.host ?? "", rule);
      const subsets = routes.map((each) => each.destination?.subset ?? "");
      if (routes.length < 2 || subsets.includes("") || routes.some((each) => fullHost(each.destination.host, rule) !== host)) continue;
      const all = routes.reduce((sum, each) => sum + (each.weight ?? 0), 0);
      found.set(host, new Map(routes.map((each, place) =>
        [versions.get(`${host}|${subsets[place]}`) ?? subsets[place], Math.round((100 * (each.weight ?? 0)) / (all || 1))])));
    }
  }
  return found;
}

function fullHost(host: string, of: Manifest): string {
  return host && !host.includes(".") ? `${host}.${of.metadata.namespace ?? "default"}.svc.cluster.local` : host;
}
