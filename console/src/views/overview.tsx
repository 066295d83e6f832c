// What is wrong now, and what changed: the first thing that the person on call looks at.
import { useState } from "preact/hooks";
import { useOverview } from "../lib/live";
import { objectUrl, serviceUrl } from "../lib/router";
import { useTraffic } from "../lib/traffic";
import type { Key, Overview, RecentChange, TrafficGraph } from "../lib/types";
import { age, count, milliseconds, percent, rate, shortHost, span } from "../lib/words";
import { Icon } from "../ui/icons";
import { Empty, KeyLink, Panel, Pill, ProblemNotice, StatePill, Twin } from "../ui/parts";
import { RollBack } from "../ui/review";
import { TrafficPanel } from "../ui/traffic";
import { TroubleList } from "../ui/troubles";

const SOON = 30 * 86400;
const SHOWN = 12;

export function OverviewPage() {
  const { data, problem } = useOverview();
  const graph = useTraffic();
  const [back, setBack] = useState<{ of: Key; revision: number }>();
  if (!data) return problem ? <><h1>Overview</h1><ProblemNotice problem={problem} /></> : null;
  return (
    <div class="stack">
      <Verdict overview={data} />
      <Tiles overview={data} graph={graph} />
      <TrafficPanel changes={data.changes} />
      <div class={graph?.total.requests || data.certificates.length ? "two" : "stack"}>
        <Panel title="Recent changes" actions={<a class="link" href="/configuration">All objects</a>}>
          {data.changes.length ? data.changes.slice(0, SHOWN).map((each, index) => (
            <Change key={each.revision} of={each}
              older={data.changes.slice(index + 1).find((other) => sameObject(other.key, each.key))}
              newest={!data.changes.slice(0, index).some((other) => sameObject(other.key, each.key))}
              onBack={(revision) => setBack({ of: each.key, revision })} />
          )) : <Empty>Nobody has changed anything, or the mesh keeps no history.</Empty>}
        </Panel>
        {(graph?.total.requests || data.certificates.length > 0) && <div class="stack">
          {graph && graph.total.requests > 0 && <Busiest graph={graph} />}
          {data.certificates.length > 0 && <Certificates overview={data} />}
        </div>}
      </div>
      {back && <RollBack {...back} onClose={() => setBack(undefined)} />}
      <Twin path="/v1/overview" command="clew status -o json" />
    </div>
  );
}

function Verdict({ overview }: { overview: Overview }) {
  const errors = overview.troubles.filter((each) => each.severity === "error").length;
  const warnings = overview.troubles.length - errors;
  const { connected, synced } = overview.proxies;
  const tone = errors ? "bad" : warnings ? "warn" : "good";
  const words = [errors && count(errors, "problem"), warnings && count(warnings, "warning")].filter(Boolean).join(" and ");
  return (
    <section class={`verdict ${tone}`} aria-label="Verdict">
      <div class="line">
        <div class="mark"><Icon name={errors ? "bad" : warnings ? "warn" : "check"} size={20} /></div>
        <div>
          <h1>{words || "Nothing is wrong"}</h1>
          <p>{connected ? `${synced} of ${count(connected, "proxy").replace("proxys", "proxies")} in sync` : "No proxy is connected"}, revision {overview.revision}</p>
        </div>
      </div>
      {overview.troubles.length > 0 && <TroubleList of={overview.troubles} />}
    </section>
  );
}

function Tiles({ overview: { proxies, objects, certificates, proxyCertificates, troubles }, graph }: { overview: Overview; graph: TrafficGraph | undefined }) {
  const configuration = ["VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "HTTPRoute", "AuthorizationPolicy", "PeerAuthentication", "Sidecar"];
  const rules = configuration.reduce((sum, kind) => sum + (objects[kind] ?? 0), 0);
  const bad = new Set(troubles.map((each) => each.service).filter(Boolean)).size;
  const part = (number: number) => ({ width: `${(100 * number) / (proxies.connected || 1)}%` });
  return (
    <div class="tiles">
      <a class="panel tile" href="/proxies">
        <div class="label">Proxies in sync</div>
        <div class="value">{proxies.synced}<small> of {proxies.connected}</small></div>
        <div class="meter" aria-hidden="true"><i class="good" style={part(proxies.synced)} /><i class="warn" style={part(proxies.pending)} /><i class="bad" style={part(proxies.rejecting)} /></div>
      </a>
      <a class="panel tile" href="/services">
        <div class="label">Services</div>
        <div class="value">{(objects.Service ?? 0) + (objects.ServiceEntry ?? 0)}</div>
        <div class="note">{bad ? `${bad} with something wrong` : `${count(objects.Pod ?? 0, "pod")} behind them`}</div>
      </a>
      <a class="panel tile" href="/configuration">
        <div class="label">Rules and policies</div>
        <div class="value">{rules}</div>
        <div class="note">{count(objects.VirtualService ?? 0, "VirtualService")}, {count(objects.DestinationRule ?? 0, "DestinationRule")}</div>
      </a>
      {graph && graph.total.requests > 0 && graph.total.mutualTls !== null && <a class="panel tile" href="/security?tab=mtls">
        <div class="label">Requests over mTLS</div>
        <div class="value">{percent(100 * graph.total.mutualTls)}</div>
        <div class="note">in the last minute</div>
      </a>}
      {proxyCertificates[0] && <EndTile kind="proxy" {...proxyCertificates[0]} />}
      {certificates[0] && <EndTile kind="Secret" name={certificates[0].object.name} secondsLeft={certificates[0].secondsLeft} late={certificates[0].secondsLeft < SOON} />}
    </div>
  );
}

/** When the first certificate of a kind ends. */
function EndTile({ kind, name, secondsLeft, late }: { kind: string; name: string; secondsLeft: number; late: boolean }) {
  return (
    <a class="panel tile" href="/security?tab=certificates">
      <div class="label">First certificate ends</div>
      <div class={`value ${secondsLeft <= 0 ? "badtext" : late ? "warntext" : ""}`}>{secondsLeft > 0 ? `in ${span(secondsLeft)}` : "expired"}</div>
      <div class="note wrap">{kind} {name}</div>
    </a>
  );
}

function Change({ of, older, newest, onBack }: { of: RecentChange; older: RecentChange | undefined; newest: boolean; onBack: (revision: number) => void }) {
  const shown = of.differences.slice(0, 3);
  return (
    <div class="change">
      <time class="when" dateTime={of.at} title={of.at}>{age(of.at)}</time>
      <div class="what">
        <div><KeyLink of={of.key} /> <span class="who">{WORDS[of.action] ?? of.action} by {of.author || "somebody"}</span>{" "}
          {of.state && of.state !== "no proxy" && newest && <StatePill state={of.state} />}</div>
        {shown.length > 0 && <div class="diffs">{shown.map((text) => <code>{text}</code>)}
          {of.differences.length > 3 && <span class="faint">and {of.differences.length - 3} more</span>}</div>}
      </div>
      <div class="do">
        <a class="btn small quiet" href={objectUrl(of.key, { tab: "history", revision: String(of.revision) })}>Diff</a>
        {newest && older && older.action !== "delete" &&
          <button class="btn small quiet" type="button" onClick={() => onBack(older.revision)}>Roll back</button>}
      </div>
    </div>
  );
}

const WORDS: Record<string, string> = { create: "created", update: "changed", delete: "deleted", rollback: "rolled back" };

function sameObject(one: Key, other: Key): boolean {
  return one.group === other.group && one.kind === other.kind && one.namespace === other.namespace && one.name === other.name;
}

function Busiest({ graph }: { graph: TrafficGraph }) {
  const services = graph.nodes.filter((each) => each.kind === "service" && each.inbound.requests > 0)
    .sort((a, b) => b.inbound.errorShare - a.inbound.errorShare || b.inbound.requests - a.inbound.requests).slice(0, 8);
  return (
    <Panel title="Services, last minute">
      <div class="tablewrap"><table>
        <thead><tr><th>Service</th><th class="right">Rate</th><th class="right">Errors</th><th class="right">p99</th></tr></thead>
        <tbody>{services.map(({ id, namespace, name, inbound }) => (
          <tr key={id}><td><a class="name" href={serviceUrl(namespace, name)}>{shortHost(name)}</a></td>
            <td class="right num nowrap">{rate(inbound.requestsPerSecond)}/s</td>
            <td class="right num nowrap">{inbound.errorShare > 0
              ? <Pill tone={inbound.errorShare > 0.01 ? "bad" : "warn"}>{percent(100 * inbound.errorShare)}</Pill> : <span class="soft">0 %</span>}</td>
            <td class="right num nowrap">{inbound.latency ? milliseconds(inbound.latency.p99) : "–"}</td></tr>
        ))}</tbody>
      </table></div>
    </Panel>
  );
}

function Certificates({ overview }: { overview: Overview }) {
  return (
    <Panel title="Certificates">
      <div class="tablewrap"><table>
        <thead><tr><th>Secret</th><th>Expires in</th></tr></thead>
        <tbody>{overview.certificates.slice(0, 8).map((each) => (
          <tr><td><KeyLink of={each.object} /><div class="soft mono wrap">{each.subject}</div></td>
            <td><Pill tone={each.secondsLeft <= 0 ? "bad" : each.secondsLeft < SOON ? "warn" : "good"}>
              {each.secondsLeft <= 0 ? "expired" : span(each.secondsLeft)}</Pill></td></tr>
        ))}</tbody>
      </table></div>
    </Panel>
  );
}
