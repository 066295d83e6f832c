// All proxies: whether each has what it is told, and what was refused.
import { useLive } from "../lib/live";
import { proxyUrl, setQuery } from "../lib/router";
import type { ProxyList, ProxyStatus, Refusal, TypeStatus } from "../lib/types";
import { age, span } from "../lib/words";
import type { ViewProps } from "../views";
import { Empty, Head, Panel, Pill, ProblemNotice, Twin } from "../ui/parts";

const ALWAYS = ["CDS", "LDS", "EDS", "RDS"];

export function Proxies({ url }: ViewProps) {
  const { data, problem } = useLive<ProxyList>("/v1/proxies");
  const text = url.searchParams.get("text") ?? "", state = url.searchParams.get("state") ?? "";
  const found = (data?.proxies ?? []).filter((each) =>
    `${each.name}.${each.namespace} ${each.address}`.includes(text) && (!state || stateOf(each) === state));
  const types = typesOf(data?.proxies ?? []);
  return (
    <>
      <Head title="Proxies" sub={data && `${data.proxies.length} connected, revision ${data.revision} published`} />
      <div class="filters" role="search">
        <input type="search" aria-label="Filter by name" placeholder="Filter by name or address" value={text}
          onInput={(event) => setQuery({ text: event.currentTarget.value })} />
        <select aria-label="State" value={state} onChange={(event) => setQuery({ state: event.currentTarget.value })}>
          <option value="">Any state</option><option value="acked">in sync</option><option value="pending">pending</option><option value="nacked">rejecting</option>
        </select>
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {data && <div class="stack">
        <Panel title="Connected">
          {found.length ? <div class="tablewrap"><table>
            <thead><tr>
              <th>Name</th><th class="hide-small">Type</th><th>State</th>{types.map((type) => <th class="hide-small">{type}</th>)}
              <th class="hide-small">Certificate</th><th class="hide-small">Address</th><th class="right">Connected</th>
            </tr></thead>
            <tbody>{found.map((each) => <tr key={each.node}>
              <td><a class="name" href={proxyUrl(each.node)}>{each.name}</a><div class="soft">{each.namespace}</div></td>
              <td class="soft hide-small">{each.node.startsWith("router~") ? "gateway" : "sidecar"}</td>
              <td><StatePillOf state={stateOf(each)} /></td>
              {types.map((type) => <td class="hide-small"><TypeMark of={each.types[type]} /></td>)}
              <td class="hide-small nowrap num"><CertificateEnd of={each} /></td>
              <td class="mono soft hide-small">{each.address || "–"}</td>
              <td class="right num soft nowrap" title={each.since}>{each.connected ? age(each.since) : "lost"}</td>
            </tr>)}</tbody>
          </table></div> : <Empty>{data.proxies.length ? "No proxy fits the filters." : "No proxy is connected."}</Empty>}
        </Panel>
        <Refusals of={data.refusals} />
      </div>}
      <Twin path="/v1/proxies" command="clew status -o json" />
    </>
  );
}

/** What proxies are told, in the order of `clew status`. */
export function typesOf(proxies: readonly ProxyStatus[]): string[] {
  const others = proxies.flatMap((each) => Object.keys(each.types)).filter((type) => !ALWAYS.includes(type));
  return [...ALWAYS, ...[...new Set(others)].sort()];
}

function CertificateEnd({ of }: { of: ProxyStatus }) {
  if (!of.certificateEnds) return <span class="faint">–</span>;
  const left = of.certificateEnds - Date.now() / 1000;
  return left > 0 ? <span class="soft">{span(left)}</span> : <Pill tone="bad">expired</Pill>;
}

export function stateOf(proxy: ProxyStatus): TypeStatus["state"] {
  const states = Object.values(proxy.types).map((each) => each.state);
  return states.includes("nacked") ? "nacked" : states.includes("pending") ? "pending" : "acked";
}

export function StatePillOf({ state }: { state: TypeStatus["state"] }) {
  if (state === "nacked") return <Pill tone="bad">rejecting</Pill>;
  return state === "pending" ? <Pill tone="info" icon="wait">pending</Pill> : <Pill tone="good">in sync</Pill>;
}

function TypeMark({ of }: { of: TypeStatus | undefined }) {
  if (!of) return <span class="faint">–</span>;
  return <span class={of.state === "acked" ? "soft" : ""} title={of.error}>{of.state === "acked" ? "✓" : of.state === "pending" ? "…" : "✗ rejected"}<span class="sr"> {of.state}</span></span>;
}

export function Refusals({ of }: { of: readonly Refusal[] }) {
  if (!of.length) return null;
  return (
    <Panel title="What proxies refused">
      <div class="tablewrap"><table>
        <thead><tr><th>When</th><th>Proxy</th><th>What, and why</th><th>In force instead</th></tr></thead>
        <tbody>{of.map((each) => <tr>
          <td class="nowrap soft" title={each.at}>{age(each.at)} ago</td>
          <td><a class="link" href={proxyUrl(each.proxy)}>{each.proxy.split("~")[2] ?? each.proxy}</a></td>
          <td class="wrap">{each.object ? <b><ObjectText text={each.object} /></b> : <span class="soft">no single object explains it</span>}
            <div class="mono soft">{each.resource}: {each.reason}</div></td>
          <td>{!each.object ? "–" : !each.held ? <Pill tone="good">over</Pill>
            : <Pill tone="bad">{each.heldAt ? `generation ${each.heldAt}` : "nothing of it"}</Pill>}</td>
        </tr>)}</tbody>
      </table></div>
    </Panel>
  );
}

/** A refusal names its object as people do; its page is found by the filters. */
function ObjectText({ text }: { text: string }) {
  const [kind = "", rest = ""] = text.split(" ");
  const name = rest.split("/").at(-1) ?? "";
  return <a class="link" href={`/configuration?kind=${encodeURIComponent(kind)}&text=${encodeURIComponent(name)}`}>{text}</a>;
}
