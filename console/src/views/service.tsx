// What becomes of a request to one service: decisions, endpoints, policies.
import { useEffect, useState } from "preact/hooks";
import { ask, objectPath } from "../lib/api";
import { useLive, useOverview } from "../lib/live";
import { objectUrl, serviceUrl, setQuery } from "../lib/router";
import type { EndpointView, Key, Manifest, RouteTable, RouteTarget, RouteView, ServiceView } from "../lib/types";
import { keyText, percent, shortHost } from "../lib/words";
import { lineOf, manifestText } from "../lib/yaml";
import type { ViewProps } from "../views";
import { LiveRequests } from "../ui/live_requests";
import { TrafficPanel, useChangesOf } from "../ui/traffic";
import { TroubleList } from "../ui/troubles";
import { Empty, Findings, Head, Health, KeyLink, Panel, Pill, ProblemNotice, Twin } from "../ui/parts";

export function ServicePage({ parts, url }: ViewProps) {
  const [namespace, host] = parts as [string, string];
  const from = url.searchParams.get("from") ?? "";
  const path = `/v1/services/${encodeURIComponent(namespace)}/${encodeURIComponent(host)}${from && `?from=${encodeURIComponent(from)}`}`;
  const { data, problem } = useLive<ServiceView>(path);
  const { data: all } = useLive<{ items: { namespace: string }[] }>("/v1/services", []);
  const texts = useTexts(data);
  const changes = useChangesOf(host);
  const wrong = (useOverview().data?.troubles ?? []).filter((each) => each.service === `${namespace}/${host}`);
  if (!data) return problem ? <><Head title={shortHost(host)} /><ProblemNotice problem={problem} /></> : null;
  const { summary } = data;
  const namespaces = [...new Set([data.seenFrom, ...(all?.items.map((each) => each.namespace) ?? [])])].sort();
  const task = (name: string, title: string) => <a class="btn" href={serviceUrl(namespace, host, name)}>{title}</a>;
  return (
    <>
      <Head title={shortHost(summary.host)} sub={<><span class="mono">{summary.host}</span><Health healthy={summary.healthy} of={summary.endpoints} />
        <span class="tags">{summary.ports.map((port) => <span class="tag">{port}</span>)}</span><KeyLink of={summary.source} short /></>}
        actions={<>{task("shift", "Shift traffic")}{task("route", "Route requests")}{task("fault", "Inject faults")}{task("resilience", "Timeouts and retries")}</>} />
      {problem && <ProblemNotice problem={problem} />}
      <div class="two">
        <div class="stack">
          <TrafficPanel service={`service/${summary.namespace}/${summary.host}`} changes={changes}
            failed={`/traces?service=${encodeURIComponent(`${summary.name}.${summary.namespace}`)}&status=error`} />
          {data.tables.map((table, index) => (
            <Panel title={table.gateway === "mesh" ? "Requests from inside the mesh" : `Requests through gateway ${table.gateway}`}
              actions={index === 0 && namespaces.length > 1 && <select aria-label="Clients in namespace" value={data.seenFrom} onChange={(event) => setQuery({ from: event.currentTarget.value })}>
                {namespaces.map((each) => <option value={each}>from {each}</option>)}</select>}>
              <div class="body"><Tree of={table} texts={texts} /></div>
            </Panel>
          ))}
          <LiveRequests key={`${namespace}/${summary.host}`} namespace={summary.namespace} host={summary.host} />
          <Panel title="Endpoints"><Endpoints of={data.endpoints} /></Panel>
        </div>
        <div class="stack">
          {wrong.length > 0 && <Panel title="Wrong now"><TroubleList of={wrong} /></Panel>}
          {data.findings.length > 0 && <Panel title="Findings"><div class="body"><Findings of={data.findings} /></div></Panel>}
          {data.subsets.length > 0 && <Panel title="Subsets"><div class="tablewrap"><table><tbody>{data.subsets.map((each) => <tr>
            <td>{each.rule ? <a class="name" href={objectUrl(each.rule, { at: each.field })}>{each.name}</a> : <b>{each.name}</b>}
              <div class="tags">{Object.entries(each.labels).map(([name, value]) => <span class="tag">{name}={value}</span>)}</div></td>
            <td class="right"><Health healthy={each.healthy} of={each.endpoints} /></td></tr>)}</tbody></table></div></Panel>}
          <Panel title="Policies in force">
            {data.policies.length ? <div class="body stack">{data.policies.map((each) => <div><KeyLink of={each.key} />
              {each.says.map((text) => <div class="soft">{text}</div>)}</div>)}</div> : <Empty>None: the mesh's defaults hold.</Empty>}
          </Panel>
          {Object.keys(data.mutualTls).length > 0 && <Panel title="mTLS that its workloads ask for"><div class="body"><dl class="facts">
            {Object.entries(data.mutualTls).map(([name, mode]) => <><dt>{name}</dt>
              <dd><Pill tone={mode === "STRICT" ? "good" : mode === "PERMISSIVE" ? "info" : "warn"} icon="lock">{mode}</Pill></dd></>)}
          </dl></div></Panel>}
        </div>
      </div>
      <Twin path={path} command={`clew describe ${summary.source.kind.toLowerCase()} ${summary.source.name}${namespace === "default" ? "" : ` -n ${namespace}`} -o json`} />
    </>
  );
}

/** The texts of the objects that routes come from, to say at which line each is. */
function useTexts(data: ServiceView | undefined): Record<string, string> {
  const [texts, set] = useState<Record<string, string>>({});
  useEffect(() => {
    const sources = new Map<string, Key>();
    data?.tables.forEach((table) => table.routes.forEach(({ source, field }) => { if (source && field) sources.set(keyText(source), source); }));
    let gone = false;
    void Promise.all([...sources].map(async ([name, key]) => [name, manifestText(await ask<Manifest>(objectPath(key)))] as const))
      .then((found) => { if (!gone) set(Object.fromEntries(found)); }, () => {});
    return () => { gone = true; };
  }, [data]);
  return texts;
}

export function Tree({ of, texts }: { of: RouteTable; texts: Record<string, string> }) {
  return <>
    <p class="soft" style={{ marginBottom: "12px" }}>For the host{of.hosts.length === 1 ? "" : "s"} {of.hosts.map((each) => <><code>{each}</code> </>)}the first that fits decides.</p>
    <ol class="tree">{of.routes.map((route, index) => <Rule of={route} step={index + 1} text={route.source ? texts[keyText(route.source)] : undefined} />)}</ol>
  </>;
}

function Rule({ of, step, text }: { of: RouteView; step: number; text: string | undefined }) {
  return (
    <li class={`rule ${of.source ? "" : "off"}`}>
      <span class="step" aria-hidden="true">{step}</span>
      <div class="if">
        {of.protocol !== "http" && <span class="tag">{of.protocol}</span>}
        {of.matches.length ? of.matches.map((match, index) => <>{index > 0 && <span class="or">or</span>}<b>{match}</b></>) : <b>{step > 1 ? "everything else" : "every request"}</b>}
        {of.name && <span class="faint">{of.name}</span>}
        {of.source && <span class="from"><a class="keylink" href={objectUrl(of.source, of.field ? { at: of.field } : {})}>
          <span class="k">{of.source.kind} </span><span class="n">{of.source.name}</span>{text && of.field && <span class="k">, line {lineOf(text, of.field)}</span>}</a></span>}
      </div>
      <div class="then">
        {of.targets.length > 1 && <div class="share" aria-hidden="true">{of.targets.map((target, index) => <i class={`c${index % 5}`} style={{ width: `${target.weight}%` }} />)}</div>}
        {of.targets.length > 0 && <div class="targets">{of.targets.map((target, index) => <Target of={target} place={index} />)}</div>}
        {of.actions.length > 0 && <div class="tags">{of.actions.map((action) => <Pill tone={action.startsWith("fault") ? "warn" : ""}>{action}</Pill>)}</div>}
        {!of.targets.length && !of.actions.length && <span class="soft">nothing</span>}
      </div>
    </li>
  );
}

function Target({ of, place }: { of: RouteTarget; place: number }) {
  return (
    <div class="target">
      <span class={`dot c${place % 5}`} aria-hidden="true" />
      <span class="w">{percent(of.weight)}</span>
      <span class="t">{shortHost(of.host)}{of.subset && <> <b>{of.subset}</b></>}{of.port ? <span class="soft">:{of.port}</span> : null}</span>
      <span>{of.problem ? <Pill tone="bad">{of.problem}</Pill> : of.endpoints ? <Health healthy={of.healthy} of={of.endpoints} /> : <span class="faint">by address</span>}</span>
    </div>
  );
}

function Endpoints({ of }: { of: readonly EndpointView[] }) {
  if (!of.length) return <Empty>It has no endpoints.</Empty>;
  return (
    <div class="tablewrap"><table>
      <thead><tr><th>Address</th><th>Health</th><th>Workload</th><th class="hide-small">Subsets</th><th class="hide-small">mTLS</th><th class="hide-small">Zone</th></tr></thead>
      <tbody>{of.slice(0, 200).map((each) => <tr key={`${each.address}:${each.port}`}>
        <td class="mono">{each.address}:{each.port}</td>
        <td><Pill tone={each.health === "HEALTHY" ? "good" : each.health === "DRAINING" ? "info" : "bad"}>{each.health.toLowerCase()}</Pill></td>
        <td>{each.pod ? <a class="link" href={objectUrl(each.pod)}>{each.workload || each.pod.name}</a> : each.workload || "–"}{each.version && <span class="soft"> {each.version}</span>}</td>
        <td class="hide-small"><div class="tags">{each.subsets.map((name) => <span class="tag">{name}</span>)}</div></td>
        <td class="hide-small soft">{each.mutualTls ? "yes" : "no"}</td>
        <td class="hide-small soft">{each.zone || "–"}</td></tr>)}</tbody>
    </table></div>
  );
}
