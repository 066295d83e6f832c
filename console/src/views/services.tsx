// All services with their health, versions and rules.
import { useLive } from "../lib/live";
import { serviceUrl, setQuery } from "../lib/router";
import type { ServiceSummary } from "../lib/types";
import { shortHost } from "../lib/words";
import type { ViewProps } from "../views";
import { Empty, Head, Health, KeyLink, Panel, ProblemNotice, Twin } from "../ui/parts";

export function Services({ url }: ViewProps) {
  const { data, problem } = useLive<{ items: ServiceSummary[] }>("/v1/services", ["objects"]);
  const text = url.searchParams.get("text") ?? "", namespace = url.searchParams.get("namespace") ?? "";
  const all = data?.items ?? [];
  const found = all.filter((each) => each.host.includes(text) && (!namespace || each.namespace === namespace));
  const namespaces = [...new Set(all.map((each) => each.namespace))].sort();
  return (
    <>
      <Head title="Services" sub={data && `${found.length} of ${all.length}`} />
      <div class="filters" role="search">
        <input type="search" aria-label="Filter by host" placeholder="Filter by host" value={text} onInput={(event) => setQuery({ text: event.currentTarget.value })} />
        <select aria-label="Namespace" value={namespace} onChange={(event) => setQuery({ namespace: event.currentTarget.value })}>
          <option value="">All namespaces</option>{namespaces.map((each) => <option value={each}>{each}</option>)}
        </select>
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {data && <Panel title="Services">
        {found.length ? <div class="tablewrap"><table>
          <thead><tr><th>Service</th><th>Endpoints</th><th class="hide-small">Versions</th><th class="hide-small">Ports</th><th class="hide-small">Routed by</th></tr></thead>
          <tbody>{found.slice(0, 500).map((each) => <tr key={each.namespace + each.host}>
            <td><a class="name" href={serviceUrl(each.namespace, each.host)}>{shortHost(each.host)}</a><div class="soft">{each.namespace}</div></td>
            <td><Health healthy={each.healthy} of={each.endpoints} /></td>
            <td class="hide-small"><div class="tags">{each.versions.map((version) => <span class="tag">{version}</span>)}</div></td>
            <td class="hide-small"><div class="tags">{each.ports.map((port) => <span class="tag">{port}</span>)}</div></td>
            <td class="hide-small">{each.rules.map((key) => <div><KeyLink of={key} /></div>)}{!each.rules.length && <span class="faint">–</span>}</td>
          </tr>)}</tbody></table></div> : <Empty>{all.length ? "No service fits the filters." : "The mesh has no services yet."}</Empty>}
        {found.length > 500 && <p class="empty">{found.length - 500} more: filter to see them.</p>}
      </Panel>}
      <Twin path="/v1/services" command="clew get svc,se -A -o json" />
    </>
  );
}
