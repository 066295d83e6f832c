// Every object of the mesh, narrowed down by the filters in the address.
import { useMemo, useState } from "preact/hooks";
import { keyOf } from "../lib/api";
import { useLive } from "../lib/live";
import { objectUrl, setQuery } from "../lib/router";
import type { KindItem, Manifest } from "../lib/types";
import { age } from "../lib/words";
import type { ViewProps } from "../views";
import { Icon } from "../ui/icons";
import { Empty, Head, Panel, ProblemNotice, StatePill, Twin } from "../ui/parts";

const AT_ONCE = 200;
const STATES = ["in force", "pending", "held", "rejected", "not supported", "no proxy"];

export function Configuration({ url }: ViewProps) {
  const { data, problem } = useLive<{ items: Manifest[] }>("/v1/objects?only=status");
  const { data: kinds } = useLive<{ items: KindItem[] }>("/v1/kinds", []);
  const [limit, setLimit] = useState(AT_ONCE);
  const query = Object.fromEntries(url.searchParams) as Record<string, string>;
  const standing = useMemo(() => new Set(kinds?.items.filter((each) => each.standing).map((each) => `${each.group}/${each.kind}`)), [kinds]);
  const all = data?.items ?? [];
  const wanted = (query.text ?? "").toLowerCase();
  const found = all.filter((each) => {
    const { group, kind, namespace, name } = keyOf(each);
    if (query.kind ? kind !== query.kind : query.all !== "true" && !standing.has(`${group}/${kind}`)) return false;
    if (query.namespace && namespace !== query.namespace) return false;
    if (query.status && stateOf(each) !== query.status) return false;
    return !wanted || `${kind} ${namespace}/${name}`.toLowerCase().includes(wanted);
  });
  const names = [...new Set(all.map((each) => each.kind))].sort();
  const namespaces = [...new Set(all.map((each) => each.metadata.namespace ?? "").filter(Boolean))].sort();
  const select = (name: string, label: string, any: string, values: string[]) => (
    <select aria-label={label} value={query[name] ?? ""} onChange={(event) => setQuery({ [name]: event.currentTarget.value })}>
      <option value="">{any}</option>{values.map((value) => <option value={value}>{value}</option>)}
    </select>
  );
  const twin = new URLSearchParams({ ...(query.kind ? { kind: query.kind } : {}), ...(query.namespace ? { namespace: query.namespace } : {}) }).toString();
  return (
    <>
      <Head title="Configuration" sub={data && `${found.length} of ${all.length} objects`}
        actions={<a class="btn primary" href={`/configuration/new${query.kind ? `?kind=${query.kind}` : ""}`}><Icon name="plus" size={14} />New object</a>} />
      <div class="filters" role="search">
        <input type="search" aria-label="Filter by name" placeholder="Filter by name" value={query.text ?? ""}
          onInput={(event) => setQuery({ text: event.currentTarget.value })} />
        {select("kind", "Kind", "All kinds", names)}
        {select("namespace", "Namespace", "All namespaces", namespaces)}
        {select("status", "Status", "Any status", STATES)}
        {!query.kind && <label class="check"><input type="checkbox" checked={query.all === "true"}
          onChange={(event) => setQuery({ all: event.currentTarget.checked ? "true" : "" })} />What runs, too</label>}
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {data && kinds && <Panel title="Objects">
        {found.length ? <div class="tablewrap"><table>
          <thead><tr>
            <th>Name</th><th class="hide-small">Kind</th><th class="hide-small">Namespace</th><th>Status</th>
            <th class="hide-small right">Generation</th><th class="right hide-small">Age</th>
          </tr></thead>
          <tbody>{found.slice(0, limit).map((each) => <Row of={each} key={each.metadata.uid as string} />)}</tbody>
        </table></div> : <Empty>{all.length ? "No object fits the filters." : "The mesh has no objects yet."}</Empty>}
        {found.length > limit && <div class="body"><button class="btn" type="button" onClick={() => setLimit(limit * 4)}>Show more of {found.length}</button></div>}
      </Panel>}
      <Twin path={`/v1/objects${twin && `?${twin}`}`} command={`clew get ${query.kind?.toLowerCase() ?? "all"} ${query.namespace ? `-n ${query.namespace}` : "-A"} -o json`} />
    </>
  );
}

function Row({ of }: { of: Manifest }) {
  const key = keyOf(of), state = stateOf(of);
  return (
    <tr>
      <td><a class="name" href={objectUrl(key)}>{key.name}</a><div class="soft show-small">{key.kind}</div></td>
      <td class="soft hide-small">{key.kind}</td>
      <td class="soft hide-small">{key.namespace || "–"}</td>
      <td>{state && <StatePill state={state} text={stateText(of)} />}</td>
      <td class="right num soft hide-small">{of.metadata.generation}</td>
      <td class="right num soft nowrap hide-small" title={of.metadata.creationTimestamp}>{age(of.metadata.creationTimestamp)}</td>
    </tr>
  );
}

interface ConditionStatus { type: string; status: string; reason?: string; message?: string }

function condition(of: Manifest, type: string): ConditionStatus | undefined {
  return (of.status?.conditions as ConditionStatus[] | undefined)?.find((each) => each.type === type);
}

const BY_REASON: Record<string, string> = {
  InForce: "in force", Pending: "pending", Rejected: "rejected", Held: "held", NoProxy: "no proxy", NotSupported: "not supported",
};

/** Whether an object is in force, as its status says; "" where that cannot be said. */
export function stateOf(of: Manifest): string {
  return BY_REASON[condition(of, "Reconciled")?.reason ?? ""] ?? "";
}

function stateText(of: Manifest): string {
  const state = stateOf(of), proxies = of.status?.proxies;
  if (state === "held") return of.status.heldAtGeneration ? `held at generation ${of.status.heldAtGeneration}` : "held back";
  return proxies && (state === "in force" || state === "pending") ? `${state} ${proxies.acknowledged}/${proxies.concerned}` : state;
}
