// Tasks on one service: each makes a proposal that is shown, checked by the mesh, then applied.
import { useEffect, useMemo, useState } from "preact/hooks";
import { ask, objectPath } from "../lib/api";
import { newVirtualService } from "../lib/edits";
import { useLive } from "../lib/live";
import { go, serviceUrl } from "../lib/router";
import type { Key, Manifest, RouteView, ServiceView } from "../lib/types";
import { keyText, shortHost } from "../lib/words";
import { manifestText } from "../lib/yaml";
import type { ViewProps } from "../views";
import { Empty, Head, KeyLink, Notice, Panel, ProblemNotice, Twin } from "../ui/parts";
import { ApplyButton, type Proposal, Proposed, useProposals } from "../ui/review";
import { Faults } from "./wizard_fault";
import { Resiliences } from "./wizard_resilience";
import { Routing } from "./wizard_route";
import { Shift } from "./wizard_shift";

export interface TaskProps {
  service: ServiceView;
  /** The rule to change; `fresh`: it does not exist yet. */
  rule: Manifest;
  index: number;
  /** Other objects of the mesh that the task may change. */
  destinationRule: Manifest | null;
  propose: (manifests: readonly Manifest[]) => void;
}

const TASKS = {
  shift: { title: "Shift traffic", form: "Shares", Task: Shift, what: "Which share of the requests goes where." },
  route: { title: "Route requests", form: "Conditions", Task: Routing, what: "Requests that fit go to one version; all others as before." },
  fault: { title: "Inject faults", form: "Faults", Task: Faults, what: "Delay or abort a share of the requests, to see how callers bear it." },
  resilience: { title: "Timeouts and retries", form: "Limits", Task: Resiliences, what: "How long a request may take, and how often it is tried again." },
} as const;

export function Wizard({ parts }: ViewProps) {
  const [namespace, host, name] = parts as [string, string, keyof typeof TASKS];
  const path = `/v1/services/${encodeURIComponent(namespace)}/${encodeURIComponent(host)}`;
  const { data, problem } = useLive<ServiceView>(path);
  const { title, what } = TASKS[name];
  return (
    <>
      <Head title={title} sub={<><a class="link" href={serviceUrl(namespace, host)}>{shortHost(host)}</a><span>{what}</span></>} />
      {problem && <ProblemNotice problem={problem} />}
      {data && <Rules service={data} name={name} />}
      <Twin path={path} command="clew apply -f FILE --dry-run server -o json" />
    </>
  );
}

/** The rules of the service that can be changed, and the one that is. */
function Rules({ service, name }: { service: ServiceView; name: keyof typeof TASKS }) {
  const sources = useMemo(() => sourcesOf(service), [service]);
  const [chosen, choose] = useState("");
  const [rules, setRules] = useState<Record<string, Manifest>>();
  const [destinationRule, setDestinationRule] = useState<Manifest | null>(null);
  const revision = JSON.stringify(service);
  useEffect(() => {
    let gone = false;
    const own = service.policies.find((each) => each.key.kind === "DestinationRule")?.key;
    void Promise.all([
      Promise.all(sources.filter((each) => each.editable).map(async ({ key }) => [keyText(key), await ask<Manifest>(objectPath(key))] as const)),
      own ? ask<Manifest>(objectPath(own)) : Promise.resolve(null),
    ]).then(([found, rule]) => {
      if (gone) return;
      setRules(Object.fromEntries(found));
      setDestinationRule(rule);
    }, () => { if (!gone) setRules({}); });
    return () => { gone = true; };
  }, [revision]);
  if (!rules) return null;
  const { summary } = service;
  const ruled = service.tables[0]?.routes.some((each) => each.source?.kind === "VirtualService");
  const generated = service.tables[0]?.routes.find((each) => each.source && each.source.kind !== "VirtualService" && each.source.kind !== "Service" && each.source.kind !== "ServiceEntry")?.source;
  const choices = [
    ...sources.filter((each) => each.editable && rules[keyText(each.key)]).map((each) => ({ id: keyText(each.key), text: `${each.key.namespace}/${each.key.name} (${each.gateway})` })),
    ...(ruled || generated ? [] : [{ id: "", text: "a new VirtualService, for clients in the mesh" }]),
  ];
  if (!choices.length) {
    return generated ? <Notice tone="info">Requests are routed by <KeyLink of={generated} />; change that.</Notice> : <Empty>No rule of this service can be changed here.</Empty>;
  }
  const fallback = ruled ? choices[0]! : choices.at(-1)!;
  const choice = choices.find((each) => each.id === chosen) ?? fallback;
  const before = rules[choice.id] ?? null;
  const rule = before ?? newVirtualService(summary.name, summary.namespace, shortHost(summary.host));
  return <Task key={choice.id + (before?.metadata.resourceVersion ?? "")} service={service} name={name} rule={rule} before={before}
    destinationRule={destinationRule} choices={choices} choice={choice.id} choose={choose} />;
}

function Task({ service, name, rule, before, destinationRule, choices, choice, choose }: {
  service: ServiceView; name: keyof typeof TASKS; rule: Manifest; before: Manifest | null; destinationRule: Manifest | null;
  choices: { id: string; text: string }[]; choice: string; choose: (id: string) => void;
}) {
  const routes: any[] = rule.spec.http ?? [];
  const [index, setIndex] = useState(() => lastOpen(routes));
  const [made, propose] = useState<readonly Manifest[]>([]);
  const proposals = useMemo(() => made.map((manifest) => proposal(manifest, before, destinationRule)).filter((each) => each !== null), [made]);
  const { summary } = service;
  const prepared = useProposals(proposals, summary.namespace, () => go(serviceUrl(summary.namespace, summary.host)));
  const { Task: Form } = TASKS[name];
  if (!routes.length) return <Empty>The rule {rule.metadata.name} has no HTTP routes.</Empty>;
  return (
    <div class="stack">
      <Panel title={TASKS[name].form}>
        <div class="body stack">
          {(choices.length > 1 || (routes.length > 1 && name !== "route")) && <div class="grid">
            {choices.length > 1 && <label class="field">Rule<select value={choice} onChange={(event) => choose(event.currentTarget.value)}>
              {choices.map((each) => <option value={each.id}>{each.text}</option>)}</select></label>}
            {routes.length > 1 && name !== "route" && <label class="field">Route<select value={index} onChange={(event) => setIndex(Number(event.currentTarget.value))}>
              {routes.map((route, place) => <option value={place}>{routeText(service, rule, place) || route.name || `route ${place + 1}`}</option>)}</select></label>}
          </div>}
          <Form key={index} service={service} rule={rule} index={index} destinationRule={destinationRule} propose={propose} />
        </div>
      </Panel>
      <Panel title="What will be applied" actions={<>
        <span class="soft" role="status">{proposals.length && prepared.report ? (prepared.report.items.some((each) => each.result === "refused") ? "" : "The mesh accepts this.") : ""}</span>
        <ApplyButton prepared={prepared} disabled={!proposals.length} /></>}>
        <div class="body stack">{proposals.length ? <Proposed proposals={proposals} prepared={prepared} /> : <span class="soft">Nothing is different yet.</span>}</div>
      </Panel>
    </div>
  );
}

/** A changed object with what it was; null if nothing of it differs. */
function proposal(manifest: Manifest, rule: Manifest | null, destinationRule: Manifest | null): Proposal | null {
  const before = manifest.kind === "DestinationRule" ? destinationRule : rule;
  const text = manifestText(manifest);
  return before && manifestText(before) === text ? null : { text, before };
}

interface SourceRule { key: Key; gateway: string; editable: boolean }

function sourcesOf(service: ServiceView): SourceRule[] {
  const found = new Map<string, SourceRule>();
  for (const table of service.tables) {
    for (const { source, field } of table.routes) {
      if (!source || source.kind !== "VirtualService" || !field.startsWith("spec.http")) continue;
      const gateway = table.gateway === "mesh" ? "inside the mesh" : `through ${table.gateway}`;
      if (!found.has(keyText(source))) found.set(keyText(source), { key: source, gateway, editable: true });
    }
  }
  return [...found.values()];
}

/** The route that takes what no other does, else the last. */
function lastOpen(routes: readonly any[]): number {
  const open = routes.findIndex((route) => !route.match?.length);
  return open >= 0 ? open : Math.max(0, routes.length - 1);
}

function routeText(service: ServiceView, rule: Manifest, index: number): string {
  const routes: RouteView[] = service.tables.flatMap((table) => table.routes);
  const found = routes.find((each) => each.source?.name === rule.metadata.name && each.source.namespace === (rule.metadata.namespace ?? "") && each.field === `spec.http[${index}]`);
  return found ? (found.matches.join(" or ") || "every other request") : "";
}
