// Callers down, services across: may they? A cell leads to the rule that decides.
import { useState } from "preact/hooks";
import { useLive } from "../lib/live";
import { serviceUrl, setQuery } from "../lib/router";
import { type Cell, CELLS, type Matrix, type Permission, targetOf } from "../lib/security";
import { Dialog, Empty, Panel, Pill, ProblemNotice, Twin } from "../ui/parts";

const OUTSIDE = "-";

export function AccessMatrix({ matrix, namespace }: { matrix: Matrix; namespace: string }) {
  const [asked, ask] = useState<{ caller: string; target: string }>();
  const places = [...new Set([namespace, ...matrix.targets.map((each) => targetOf(each).namespace)])].filter(Boolean).sort();
  return (
    <Panel title="Who may call whom" actions={
      <select aria-label="Namespace of the services" value={namespace} onChange={(event) => setQuery({ namespace: event.currentTarget.value })}>
        <option value="">All namespaces</option>{places.map((each) => <option value={each}>{each}</option>)}</select>}>
      {matrix.targets.length ? <>
        <div class="tablewrap"><table class="matrix">
          <thead><tr><th scope="col">Caller</th>{matrix.targets.map((each) => {
            const { host, port, name, namespace: place } = targetOf(each);
            return <th scope="col" class="slanted" title={each}><a href={serviceUrl(place, host)}><span>{name}<span class="faint">:{port}</span></span></a></th>;
          })}</tr></thead>
          <tbody>{matrix.rows.map((row) => <tr key={row.caller}>
            <th scope="row">{row.caller ? <><span class="soft">{row.caller.split("/")[0]}/</span>{row.caller.split("/")[1]}</> : <i>without an identity</i>}</th>
            {row.cells.map((cell, place) => <td><CellButton cell={cell} caller={row.caller} target={matrix.targets[place]!} onAsk={ask} /></td>)}
          </tr>)}</tbody>
        </table></div>
        <ul class="body legend keys" aria-label="Legend">{Object.values(CELLS).map(({ mark, words, tone }) =>
          <li><span class={`cell ${tone}`}>{mark}</span><span class="soft">{words}</span></li>)}</ul>
      </> : <Empty>There is no service with a workload{namespace && ` in ${namespace}`}.</Empty>}
      {asked && <Asked {...asked} onClose={() => ask(undefined)} />}
    </Panel>
  );
}

function CellButton({ cell, caller, target, onAsk }: { cell: Cell; caller: string; target: string; onAsk: (asked: { caller: string; target: string }) => void }) {
  const { mark, words, tone } = CELLS[cell];
  return <button type="button" class={`cell ${tone}`} title={`${caller || "without an identity"} → ${target}: ${words}`}
    aria-label={`${caller || "without an identity"} to ${target}: ${words}`} onClick={() => onAsk({ caller, target })}>{mark}</button>;
}

const TONES = { allowed: "good", denied: "bad", asked: "info", mixed: "warn" } as const;
const WORDS: Record<string, string> = { allowed: "It may.", denied: "It may not.", asked: "An external authorizer is asked.", mixed: "Some of its workloads allow it, others do not." };

/** A request that nobody makes, and the rule that would decide it. */
function Asked({ caller, target, onClose }: { caller: string; target: string; onClose: () => void }) {
  const { host, port, name, namespace } = targetOf(target);
  const [method, setMethod] = useState("GET"), [path, setPath] = useState("/");
  const query = new URLSearchParams({ from: caller || OUTSIDE, to: namespace ? `${namespace}/${host}` : host, namespace: namespace || "default", port, method, path: path || "/" });
  const address = `/v1/authorization?${query}`;
  const { data, problem } = useLive<Permission>(address);
  return (
    <Dialog title={`${caller || "Somebody without an identity"} → ${name}:${port}`} onClose={onClose} footer={<button class="btn" type="button" onClick={onClose}>Close</button>}>
      <div class="filters">
        <select aria-label="Method" value={method} onChange={(event) => setMethod(event.currentTarget.value)}>
          {["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].map((each) => <option value={each}>{each}</option>)}</select>
        <input type="text" class="mono" aria-label="Path" value={path} onInput={(event) => setPath(event.currentTarget.value)} />
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {data && <>
        <p role="status"><Pill tone={TONES[data.outcome]}>{data.outcome}</Pill> {WORDS[data.outcome]}</p>
        {data.workloads.length ? <ul class="findings">{data.workloads.map((each) => <li><div><b>{each.workload}</b>: {each.outcome}{each.rule && <> by <code>{each.rule}</code></>}
          {each.reason && <div class="soft">{each.reason}</div>}{each.dryRuns.map((text) => <div class="soft">dry run: {text}</div>)}</div></li>)}</ul> : <Empty>The service has no workload.</Empty>}
        <Twin path={address} command={`clew authz can ${caller || OUTSIDE} ${namespace ? `${namespace}/` : ""}${name} ${method} ${path} --port ${port} -o json`} />
      </>}
    </Dialog>
  );
}
