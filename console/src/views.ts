// The views that the console has: what is in the navigation, and what draws each.
import type { ComponentType } from "preact";
import type { IconName } from "./ui/icons";
import { Configuration } from "./views/configuration";
import { Graph } from "./views/graph";
import { NewObject } from "./views/new_object";
import { ObjectPage } from "./views/object";
import { OverviewPage } from "./views/overview";
import { Proxies } from "./views/proxies";
import { ProxyPage } from "./views/proxy";
import { Security } from "./views/security";
import { ServicePage } from "./views/service";
import { Services } from "./views/services";
import { TracePage } from "./views/trace";
import { Traces } from "./views/traces";
import { Wizard } from "./views/wizard";

export interface ViewProps { parts: string[]; url: URL }
export interface View { path: string; title: string; short?: string; icon: IconName; key: string }

/** In the order of the navigation. `key` opens one after `g`; `short` is for phones. */
export const VIEWS: readonly View[] = [
  { path: "/", title: "Overview", icon: "overview", key: "o" },
  { path: "/graph", title: "Graph", icon: "graph", key: "g" },
  { path: "/services", title: "Services", icon: "services", key: "s" },
  { path: "/configuration", title: "Configuration", short: "Config", icon: "configuration", key: "c" },
  { path: "/traces", title: "Traces", icon: "traces", key: "t" },
  { path: "/proxies", title: "Proxies", icon: "proxies", key: "p" },
  { path: "/security", title: "Security", icon: "security", key: "e" },
];

type Pattern = readonly [RegExp, ComponentType<ViewProps>, (parts: string[]) => string[]];

// What is at an address, and the names above the view that it has.
export const PAGES: readonly Pattern[] = [
  [/^\/$/, OverviewPage, () => []],
  [/^\/graph$/, Graph, () => []],
  [/^\/services$/, Services, () => []],
  [/^\/services\/([^/]+)\/([^/]+)$/, ServicePage, ([, host]) => [host!]],
  [/^\/services\/([^/]+)\/([^/]+)\/(shift|route|fault|resilience)$/, Wizard, ([, host, task]) => [host!, task!]],
  [/^\/configuration$/, Configuration, () => []],
  [/^\/configuration\/new$/, NewObject, () => ["New"]],
  [/^\/configuration\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/, ObjectPage, ([, kind, , name]) => [`${kind} ${name}`]],
  [/^\/traces$/, Traces, () => []],
  [/^\/traces\/([^/]+)$/, TracePage, ([id]) => [id!.slice(0, 12)]],
  [/^\/security$/, Security, () => []],
  [/^\/proxies$/, Proxies, () => []],
  [/^\/proxies\/([^/]+)$/, ProxyPage, ([node]) => [node!.split("~")[2] ?? node!]],
];
