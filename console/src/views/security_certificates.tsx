// The authority, what it signs with, whether that changes, and the certificates that are out there.
import { proxyUrl } from "../lib/router";
import { type Authority, type CertificateSummary, phaseWords } from "../lib/security";
import type { Certificate, ProxyList, ProxyStatus } from "../lib/types";
import { span } from "../lib/words";
import { Empty, KeyLink, Notice, Panel, Pill } from "../ui/parts";

const SOON = 30 * 86400, AT_ONCE = 100;

export function Certificates({ authority, proxies, secrets }: { authority: Authority | undefined; proxies: ProxyList | undefined; secrets: readonly Certificate[] }) {
  return <>
    {authority && <AuthorityPanel of={authority} />}
    <ProxyCertificates of={(proxies?.proxies ?? []).filter((each) => each.certificateEnds)} />
    {secrets.length > 0 && <Panel title="Certificates in Secrets">
      <div class="tablewrap"><table>
        <thead><tr><th>Secret</th><th class="hide-small">Subject</th><th class="right">Ends in</th></tr></thead>
        <tbody>{secrets.map((each) => <tr><td><KeyLink of={each.object} /></td><td class="mono soft wrap hide-small">{each.subject}</td>
          <td class="right"><Ends seconds={each.secondsLeft} soon={SOON} /></td></tr>)}</tbody>
      </table></div>
    </Panel>}
  </>;
}

function Ends({ seconds, soon }: { seconds: number; soon: number }) {
  return <Pill tone={seconds <= 0 ? "bad" : seconds < soon ? "warn" : "good"}>{seconds <= 0 ? "expired" : span(seconds)}</Pill>;
}

function AuthorityPanel({ of }: { of: Authority }) {
  const named = (certificate: CertificateSummary) => certificate.fingerprint === of.root.fingerprint ? "root" : "trusted, too";
  const rows: [string, CertificateSummary][] = [["signs workloads", of.signing], ...of.trusted.map((each): [string, CertificateSummary] => [named(each), each])];
  const steps = [["trust", "All proxies trust the new root"], ["sign", "Certificates are signed with it"], ["", "The old root is forgotten"]];
  const state = of.phase ? "changing its root" : of.pluggedIn ? "plugged in" : "in force";
  return (
    <Panel title="The authority" actions={<Pill tone={of.phase ? "info" : "good"} icon={of.phase ? "wait" : undefined}>{state}</Pill>}>
      <div class="body stack">
        {of.problem && <Notice tone="bad">{of.problem}</Notice>}
        <p class="soft">{phaseWords(of)}.{!of.phase && <> Change it with <code>clew ca rotate</code>.</>}</p>
        {of.phase && <ol class="steps">{steps.map(([phase, words], place) => {
          const now = steps.findIndex(([each]) => each === of.phase);
          return <li class={place < now ? "done" : place === now ? "now" : ""} aria-current={place === now ? "step" : undefined}>{words}</li>;
        })}</ol>}
        {of.waiting.length > 0 && <p class="wrap">Waiting for {of.waiting.slice(0, 12).map((node) =>
          <><a class="link" href={proxyUrl(node)}>{node.split("~")[2] ?? node}</a>{" "}</>)}{of.waiting.length > 12 && `and ${of.waiting.length - 12} more`}</p>}
      </div>
      <div class="tablewrap"><table>
        <thead><tr><th>Certificate</th><th class="hide-small">Key</th><th class="hide-small">Fingerprint</th><th class="right">Ends in</th></tr></thead>
        <tbody>{rows.map(([what, each]) => <tr><td><b>{what}</b><div class="soft mono wrap">{each.subject}</div></td><td class="soft hide-small nowrap">{each.key}</td>
          <td class="mono faint hide-small" title={each.fingerprint}>{each.fingerprint.slice(0, 16)}…</td>
          <td class="right" title={each.expires}><Ends seconds={each.secondsLeft} soon={SOON} /></td></tr>)}</tbody>
      </table></div>
    </Panel>
  );
}

/** They are renewed in the second half of their life, so the last tenth of it is late. */
function ProxyCertificates({ of }: { of: readonly ProxyStatus[] }) {
  const now = Date.now() / 1000, sorted = [...of].sort((a, b) => a.certificateEnds! - b.certificateEnds!);
  return (
    <Panel title={`Certificates of proxies (${of.length})`}>
      {sorted.length ? <div class="tablewrap"><table>
        <thead><tr><th>Proxy</th><th class="lengths hide-small">Life</th><th class="right">Ends in</th></tr></thead>
        <tbody>{sorted.slice(0, AT_ONCE).map((each) => {
          const begins = each.certificateBegins!, ends = each.certificateEnds!, gone = Math.min(1, Math.max(0, (now - begins) / (ends - begins)));
          return <tr key={each.node}><td><a class="name" href={proxyUrl(each.node)}>{each.name}</a> <span class="soft">{each.namespace}</span></td>
            <td class="lengths hide-small"><div class="meter" role="img" aria-label={`${Math.round(100 * gone)} % of its life is over`}>
              <i class={gone > 0.9 ? "bad" : "good"} style={{ width: `${100 * gone}%` }} /></div></td>
            <td class="right nowrap" title={new Date(ends * 1000).toISOString()}><Ends seconds={ends - now} soon={(ends - begins) / 10} /></td></tr>;
        })}</tbody>
      </table></div> : <Empty>No proxy has said which certificate it uses.</Empty>}
      {sorted.length > AT_ONCE && <p class="empty">{sorted.length - AT_ONCE} more end later.</p>}
    </Panel>
  );
}
