// One proxy: every resource that it is told, the version that it has, and the objects behind them.
import { useEffect, useState } from "preact/hooks";
import { ask } from "../lib/api";
import { useLive } from "../lib/live";
import { setQuery } from "../lib/router";
import type { Json, ProxyDetail, ResourceState } from "../lib/types";
import { age, bytes } from "../lib/words";
import { toYaml } from "../lib/yaml";
import type { ViewProps } from "../views";
import { Dialog, Empty, Head, KeyLink, Panel, Pill, ProblemNotice, Twin } from "../ui/parts";
import { Refusals, StatePillOf, stateOf } from "./proxies";

const NAMES: Record<string, string> = { CDS: "Clusters", LDS: "Listeners", EDS: "Endpoints", RDS: "Routes", ECDS: "Filters" };

export function ProxyPage({ parts, url }: ViewProps) {
  const node = parts[0]!, path = `/v1/proxies/${encodeURIComponent(node)}`;
  const { data, problem } = useLive<ProxyDetail>(path);
  const [open, setOpen] = useState<ResourceState>();
  if (!data) return problem ? <><Head title={node.split("~")[2] ?? node} /><ProblemNotice problem={problem} /></> : null;
  const type = url.searchParams.get("type") ?? "", text = url.searchParams.get("text") ?? "";
  const found = data.resources.filter((each) => (!type || each.type === type) && each.name.includes(text));
  const { proxy } = data;
  return (
    <>
      <Head title={proxy.name} sub={<><span>{data.type === "router" ? "gateway" : data.type} in {proxy.namespace}</span><StatePillOf state={stateOf(proxy)} />
        <span class="mono">{proxy.address}</span><span class="faint">connected {age(proxy.since)}</span></>} />
      {problem && <ProblemNotice problem={problem} />}
      <div class="stack">
        <div class="tiles">{Object.entries(proxy.types).map(([name, status]) => {
          const mine = data.resources.filter((each) => each.type === name);
          return (
            <a class="panel tile" href={`?type=${name}`} aria-current={type === name ? "true" : undefined}
              onClick={(event) => { event.preventDefault(); setQuery({ type: type === name ? "" : name }); }}>
              <div class="label">{NAMES[name] ?? name}</div>
              <div class="value">{mine.length}<small> {bytes(mine.reduce((sum, each) => sum + each.size, 0))}</small></div>
              <div class="note"><StatePillOf state={status.state} /></div>
              {status.error && <div class="note wrap">{status.error}</div>}
            </a>
          );
        })}</div>
        <Refusals of={data.refusals} />
        <div class="two">
          <Panel title={type ? NAMES[type] ?? type : "What it is told"}
            actions={<input type="search" aria-label="Filter resources" placeholder="Filter" value={text} onInput={(event) => setQuery({ text: event.currentTarget.value })} />}>
            {found.length ? <div class="tablewrap"><table>
              <thead><tr><th>Name</th><th class="hide-small">Type</th><th>State</th><th class="hide-small">Version</th><th class="right hide-small">Size</th></tr></thead>
              <tbody>{found.slice(0, 300).map((each) => <tr key={each.type + each.name}>
                <td class="wrap"><button class="plain mono" type="button" onClick={() => setOpen(each)}>{each.name}</button>{each.error && <div class="notice bad">{each.error}</div>}</td>
                <td class="soft hide-small">{each.type}</td>
                <td><Mark of={each} /></td>
                <td class="mono faint hide-small">{each.version.slice(0, 8)}</td>
                <td class="right num soft nowrap hide-small">{bytes(each.size)}</td>
              </tr>)}</tbody></table></div> : <Empty>Nothing fits the filter.</Empty>}
            {found.length > 300 && <p class="empty">{found.length - 300} more: filter to see them.</p>}
          </Panel>
          <div class="stack">
            <Panel title="Who it is"><div class="body"><dl class="facts">
              <dt>Node</dt><dd class="mono">{proxy.node}</dd>
              {data.serviceAccount && <><dt>Identity</dt><dd>{data.serviceAccount}</dd></>}
              <dt>Labels</dt><dd class="tags">{Object.entries(data.labels).map(([name, value]) => <span class="tag">{name}={value}</span>)}</dd>
            </dl></div></Panel>
            <Panel title={`Objects with a say in it (${data.objects.length})`}>
              <div class="body"><ul class="stack" style={{ gap: "4px" }}>{data.objects.map((each) => <li><KeyLink of={each} /></li>)}</ul></div>
            </Panel>
          </div>
        </div>
      </div>
      {open && <Resource node={path} of={open} onClose={() => setOpen(undefined)} />}
      <Twin path={path} command={`clew proxy-config all ${proxy.name}.${proxy.namespace} -o json`} />
    </>
  );
}

function Mark({ of }: { of: ResourceState }) {
  if (of.error) return <Pill tone="bad">rejected</Pill>;
  if (of.acknowledged === of.version) return <Pill tone="good">has it</Pill>;
  return of.acknowledged ? <Pill tone="info" icon="wait">has an older one</Pill> : <Pill tone="" icon="wait">not asked for</Pill>;
}

function Resource({ node, of, onClose }: { node: string; of: ResourceState; onClose: () => void }) {
  const [text, setText] = useState("");
  const path = `${node}/resources/${of.type}/${encodeURIComponent(of.name)}`;
  useEffect(() => { ask<Json>(path).then((found) => setText(toYaml(found)), (error) => setText(String(error.message))); }, [path]);
  return (
    <Dialog title={`${NAMES[of.type] ?? of.type}: ${of.name}`} onClose={onClose} footer={<>
      <span class="grow"><a class="link" href={path} target="_blank">as JSON</a></span>
      <button class="btn" type="button" onClick={onClose}>Close</button></>}>
      <pre class="text editor" tabIndex={0}>{text}</pre>
    </Dialog>
  );
}
