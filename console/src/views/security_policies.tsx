// What is demanded of callers, whether it is so, and what is wrong with the policies.
import { keyOf } from "../lib/api";
import { objectUrl, serviceUrl } from "../lib/router";
import { coverageOf, type Mode } from "../lib/security";
import type { Manifest, TrafficGraph, Trouble } from "../lib/types";
import { percent, rate, shortHost } from "../lib/words";
import { Icon } from "../ui/icons";
import { Empty, KeyLink, Panel, Pill, StatePill } from "../ui/parts";
import { stateOf } from "./configuration";

const TONES: Record<string, "good" | "warn" | "bad" | ""> = { STRICT: "good", PERMISSIVE: "warn", DISABLE: "bad" };

export function Encryption({ graph, modes }: { graph: TrafficGraph | undefined; modes: readonly Mode[] }) {
  const found = graph ? coverageOf(graph) : [];
  return (
    <div class="two">
      <Panel title="What services are asked, last minute">
        {found.length ? <div class="tablewrap"><table>
          <thead><tr><th>Service</th><th class="lengths">Over mTLS</th><th class="right hide-small">Rate</th><th>In plaintext by</th></tr></thead>
          <tbody>{found.map(({ id, namespace, host, traffic, plain }) => <tr key={id}>
            <td><a class="name" href={serviceUrl(namespace, host)}>{shortHost(host)}</a><div class="soft">{namespace}</div></td>
            <td class="lengths num">{percent(100 * traffic.mutualTls!)}<div class="meter" aria-hidden="true">
              <i class="good" style={{ width: `${100 * traffic.mutualTls!}%` }} /><i class="warn" style={{ width: `${100 - 100 * traffic.mutualTls!}%` }} /></div></td>
            <td class="right num nowrap hide-small">{traffic.requests ? `${rate(traffic.requestsPerSecond)}/s` : "TCP"}</td>
            <td class="wrap">{plain.join(", ") || <span class="faint">nobody</span>}</td></tr>)}</tbody>
        </table></div> : <Empty>No service was asked anything in the last minute.</Empty>}
      </Panel>
      <Panel title="What is demanded">
        <div class="tablewrap"><table>
          <thead><tr><th>Of</th><th>mTLS</th></tr></thead>
          <tbody>
            {!modes.some((each) => each.scope === "the whole mesh") && <tr><td>the whole mesh<div class="soft">where nothing else is said</div></td><td><Pill tone="warn">PERMISSIVE</Pill></td></tr>}
            {modes.map((each) => <tr><td>{each.scope}<div><KeyLink of={each.key} /></div></td>
              <td><Pill tone={TONES[each.mode] ?? ""} icon={each.mode === "STRICT" ? "lock" : undefined}>{each.mode}</Pill>
                {each.ports.map(([port, mode]) => <div class="soft nowrap">{port}: {mode}</div>)}</td></tr>)}
          </tbody>
        </table></div>
      </Panel>
    </div>
  );
}

/** Policies with what is wrong with them, those first. */
export function Policies({ of, root, troubles }: { of: readonly Manifest[]; root: string; troubles: readonly Trouble[] }) {
  const wrong = (policy: Manifest) => {
    const { kind, namespace, name } = keyOf(policy);
    return troubles.filter(({ object }) => object?.kind === kind && object.namespace === namespace && object.name === name);
  };
  const sorted = [...of].sort((a, b) => wrong(b).length - wrong(a).length || a.kind.localeCompare(b.kind) || a.metadata.name.localeCompare(b.metadata.name));
  return (
    <Panel title={`Policies (${of.length})`} actions={<a class="btn small" href="/configuration/new?kind=AuthorizationPolicy"><Icon name="plus" size={14} />New policy</a>}>
      {sorted.length ? <div class="tablewrap"><table>
        <thead><tr><th>Policy</th><th>What it does</th><th>Status</th></tr></thead>
        <tbody>{sorted.map((policy) => {
          const key = keyOf(policy), state = stateOf(policy);
          return <tr key={policy.metadata.uid as string}><td><a class="name" href={objectUrl(key)}>{key.name}</a><div class="soft">{key.kind}<br />{key.namespace}</div></td>
            <td class="wrap">{says(policy)}<div class="soft">{selected(policy, root)}</div>
              {wrong(policy).map((each) => <a class={`wrongs ${each.severity === "error" ? "badtext" : "warntext"}`} href={objectUrl(key, each.field ? { at: each.field } : {})}>
                <Icon name={each.severity === "error" ? "bad" : "warn"} size={14} /><span><span class="sr">{each.severity}: </span>{each.problem}</span></a>)}</td>
            <td>{state && <StatePill state={state} />}</td></tr>;
        })}</tbody>
      </table></div> : <Empty>There is no policy: everybody may call everything, with mTLS or without.</Empty>}
    </Panel>
  );
}

function says({ kind, spec = {}, metadata }: Manifest): string {
  if (kind === "PeerAuthentication") return `mTLS ${spec.mtls?.mode ?? "as above it"}`;
  if (kind === "RequestAuthentication") return `tokens of ${(spec.jwtRules ?? []).map((rule: any) => rule.issuer).join(", ") || "nobody"}`;
  const rules: any[] = spec.rules ?? [], action = spec.action ?? "ALLOW", dry = metadata.annotations?.["istio.io/dry-run"] === "true" ? " (only tried)" : "";
  if (!rules.length) return `${action === "ALLOW" ? "allows nothing" : `${action} without a rule: does nothing`}${dry}`;
  const from = rules.flatMap((rule) => rule.from ?? []).flatMap(({ source = {} }: any) => Object.entries(source).map(([name, values]) => `${name} ${(values as string[]).join(", ")}`));
  const to = rules.flatMap((rule) => rule.to ?? []).flatMap(({ operation = {} }: any) => Object.entries(operation).map(([name, values]) => `${name} ${(values as string[]).join(", ")}`));
  return `${action}${dry}: ${from.length ? `from ${from.join("; ")}` : "from anybody"}${to.length ? `, to ${to.join("; ")}` : ""}${rules.some((rule) => rule.when?.length) ? ", on conditions" : ""}`;
}

function selected({ spec = {}, metadata }: Manifest, root: string): string {
  const labels = Object.entries(spec.selector?.matchLabels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
  const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef ? [spec.targetRef] : [])].map((each: any) => `${each.kind} ${each.name}`).join(", ");
  return labels ? `workloads with ${labels}` : targets || `all workloads of ${metadata.namespace === root ? "the mesh" : metadata.namespace}`;
}
