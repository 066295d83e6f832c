// Who may call whom, how much of it is proven by certificates, and which of these end soon.
import { useLive, useOverview } from "../lib/live";
import { setQuery } from "../lib/router";
import { type Authority, coverageOf, type Matrix, modesOf } from "../lib/security";
import { useTraffic } from "../lib/traffic";
import type { Manifest, ProxyList, TrafficGraph } from "../lib/types";
import { percent, span } from "../lib/words";
import { Head, ProblemNotice, Twin } from "../ui/parts";
import type { ViewProps } from "../views";
import { Certificates } from "./security_certificates";
import { AccessMatrix } from "./security_matrix";
import { Encryption, Policies } from "./security_policies";

const TABS: Record<string, string> = { "": "Access", mtls: "mTLS", certificates: "Certificates", policies: "Policies" };
const POLICIES = "/v1/objects?kind=";

// The same in the API, and in the command line.
const TWINS: Record<string, [string, string]> = {
  "": ["/v1/authorization/matrix", "clew authz matrix -o json"],
  mtls: ["/v1/traffic?window=60", "clew graph -o json"],
  certificates: ["/v1/authority", "clew ca status -o json"],
  policies: [`${POLICIES}AuthorizationPolicy,PeerAuthentication,RequestAuthentication`, "clew get authorizationpolicies,peerauthentications,requestauthentications -A -o json"],
};

export function Security({ url }: ViewProps) {
  const tab = url.searchParams.get("tab") ?? "", namespace = url.searchParams.get("namespace") ?? "";
  const { data: authority, problem } = useLive<Authority>("/v1/authority", ["proxies"]);
  const { data: matrix } = useLive<Matrix>(tab ? "" : `/v1/authorization/matrix${namespace && `?namespace=${encodeURIComponent(namespace)}`}`);
  const { data: proxies } = useLive<ProxyList>("/v1/proxies", ["proxies"]);
  const { data: overview } = useOverview();
  const peers = useLive<{ items: Manifest[] }>(`${POLICIES}PeerAuthentication`, ["objects"]).data?.items ?? [];
  const rules = useLive<{ items: Manifest[] }>(`${POLICIES}AuthorizationPolicy`, ["objects"]).data?.items ?? [];
  const tokens = useLive<{ items: Manifest[] }>(`${POLICIES}RequestAuthentication`, ["objects"]).data?.items ?? [];
  const graph = useTraffic(), root = overview?.rootNamespace ?? "";
  const [twin, command] = TWINS[tab] ?? TWINS[""]!;
  return (
    <>
      <Head title="Security" sub={authority && <span>trust domain {authority.trustDomain}</span>} />
      {problem && <ProblemNotice problem={problem} />}
      <div class="stack">
        <Tiles authority={authority} proxies={proxies} graph={graph} rules={rules.length} />
        <nav class="tabs" aria-label="Parts of security">{Object.entries(TABS).map(([name, title]) => (
          <a href={`/security${name && `?tab=${name}`}`} aria-current={tab === name ? "page" : undefined}
            onClick={(event) => { event.preventDefault(); setQuery({ tab: name }); }}>{title}</a>
        ))}</nav>
        {tab === "mtls" ? <Encryption graph={graph} modes={modesOf(peers, root)} />
          : tab === "certificates" ? <Certificates authority={authority} proxies={proxies} secrets={overview?.certificates ?? []} />
          : tab === "policies" ? <Policies of={[...rules, ...peers, ...tokens]} root={root} troubles={overview?.troubles ?? []} />
          : matrix && <AccessMatrix matrix={matrix} namespace={namespace} />}
      </div>
      <Twin path={twin} command={command} />
    </>
  );
}

function Tiles({ authority, proxies, graph, rules }: { authority: Authority | undefined; proxies: ProxyList | undefined; graph: TrafficGraph | undefined; rules: number }) {
  const ends = (proxies?.proxies ?? []).map((each) => each.certificateEnds ?? 0).filter(Boolean), first = Math.min(...ends) - Date.now() / 1000;
  const plain = graph ? coverageOf(graph).filter((each) => each.traffic.mutualTls! < 1).length : 0;
  return (
    <div class="tiles">
      <a class="panel tile" href="/security?tab=mtls"><div class="label">Requests over mTLS</div>
        <div class="value">{graph && graph.total.mutualTls !== null ? percent(100 * graph.total.mutualTls) : "–"}</div>
        <div class="note">{graph?.total.mutualTls == null ? "no traffic in the last minute" : plain ? `${plain} of the services take plaintext` : "in the last minute"}</div></a>
      <a class="panel tile" href="/security?tab=policies"><div class="label">Authorization policies</div>
        <div class="value">{rules}</div><div class="note">{rules ? "who may call whom" : "everybody may call everything"}</div></a>
      <a class="panel tile" href="/security?tab=certificates"><div class="label">First certificate of a proxy ends in</div>
        <div class="value">{ends.length ? (first > 0 ? span(first) : "expired") : "–"}</div><div class="note">they are renewed by themselves</div></a>
      {authority && <a class="panel tile" href="/security?tab=certificates"><div class="label">Root certificate ends in</div>
        <div class="value">{authority.root.secondsLeft > 0 ? span(authority.root.secondsLeft) : "expired"}</div>
        <div class="note">{authority.phase ? "a change of roots is under way" : authority.pluggedIn ? "of your own authority" : "made by clew"}</div></a>}
    </div>
  );
}
