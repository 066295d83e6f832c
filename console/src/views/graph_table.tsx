// The graph in words: an edge in each row.
import type { Graph, GraphEdge } from "../lib/graph/model";
import { isTcp } from "../lib/graph/paint";
import { milliseconds, percent, rate } from "../lib/words";
import { Icon } from "../ui/icons";
import { Panel, Pill } from "../ui/parts";

const PERCENTILES = ["p50", "p95", "p99"] as const;

export function GraphTable({ graph, found, onPick }: { graph: Graph; found: ReadonlySet<string> | undefined; onPick: (id: string) => void }) {
  const named = new Map(graph.nodes.map((node) => [node.id, node]));
  const place = (id: string) => {
    const node = named.get(id);
    return <button class="plain" type="button" onClick={() => onPick(id)}><b>{node?.name}</b>{node?.namespace && <span class="faint"> {node.namespace}</span>}</button>;
  };
  const wanted = (edge: GraphEdge) => !found?.size || found.has(edge.id) || found.has(edge.source) || found.has(edge.target);
  return (
    <Panel title={`Who calls whom (${graph.edges.length})`}>
      <div class="tablewrap"><table>
        <thead><tr>
          <th>From</th><th>To</th><th class="right">Rate</th><th class="right">Errors</th>
          {PERCENTILES.map((name) => <th class="right hide-small">{name}</th>)}
          <th class="right hide-small">Share</th><th class="hide-small">Weights</th><th class="hide-small">mTLS</th>
        </tr></thead>
        <tbody>{graph.edges.filter(wanted).map((edge) => {
          const { traffic } = edge;
          return (
            <tr key={edge.id}><td>{place(edge.source)}</td><td>{place(edge.target)}</td>
              <td class="right num nowrap">{isTcp(edge.traffic) ? "TCP" : `${rate(traffic.requestsPerSecond)}/s`}</td>
              <td class="right num nowrap">{traffic.errorShare
                ? <Pill tone={traffic.errorShare >= 0.05 ? "bad" : "warn"}>{percent(100 * traffic.errorShare)}</Pill> : <span class="soft">0 %</span>}</td>
              {PERCENTILES.map((name) => <td class="right num nowrap hide-small">{traffic.latency ? milliseconds(traffic.latency[name]) : "–"}</td>)}
              <td class="right num nowrap hide-small">{percent(edge.share)}</td><td class="hide-small nowrap">{edge.weights || "–"}</td>
              <td class="hide-small nowrap">{traffic.mutualTls === null ? "–"
                : traffic.mutualTls === 1 ? <><Icon name="lock" size={13} /><span class="sr">all of it</span></> : percent(100 * traffic.mutualTls)}</td></tr>
          );
        })}</tbody>
      </table></div>
    </Panel>
  );
}
