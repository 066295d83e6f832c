// One object: its text to edit, whether it is in force, what it names and is named by, its past.
import { useMemo, useRef, useState } from "preact/hooks";
import { keyOf, objectPath, remove } from "../lib/api";
import { useLive } from "../lib/live";
import { go, objectUrl, withQuery } from "../lib/router";
import type { HistoryItem, Key, Manifest, ObjectStatus, Reference, References } from "../lib/types";
import { age, keyText } from "../lib/words";
import { lineOf, manifestText, toYaml } from "../lib/yaml";
import type { ViewProps } from "../views";
import { Diff } from "../ui/diff";
import { Icon } from "../ui/icons";
import { Dialog, Empty, Findings, Head, KeyLink, Notice, Panel, ProblemNotice, StatePill, toast, Twin } from "../ui/parts";
import { RollBack } from "../ui/review";
import { Workbench } from "../ui/workbench";

const TABS = [["", "YAML"], ["status", "Status"], ["references", "References"], ["history", "History"]] as const;

export function ObjectPage({ parts, url }: ViewProps) {
  const [group, kind, namespace, name] = parts as [string, string, string, string];
  const key: Key = { group: group === "core" ? "" : group, kind, namespace: namespace === "_" ? "" : namespace, name };
  const path = objectPath(key);
  const { data: manifest, problem } = useLive<Manifest>(path);
  const { data: status } = useLive<ObjectStatus>(`${path}/status`);
  const [deleting, setDeleting] = useState(false);
  const tab = url.searchParams.get("tab") ?? "";
  const gone = problem?.status === 404;
  // What is typed stays while somebody looks at the other tabs.
  const typed = useRef(false);
  typed.current ||= tab === "";
  return (
    <>
      <Head title={name} sub={<><span>{kind}</span>{key.namespace && <span>in {key.namespace}</span>}
        {status && <StatePill state={status.state} text={statusText(status)} />}
        {manifest && <span class="faint">generation {manifest.metadata.generation}, {age(manifest.metadata.creationTimestamp)} old</span>}</>}
        actions={manifest && <button class="btn danger" type="button" onClick={() => setDeleting(true)}>Delete</button>} />
      <nav class="tabs" aria-label="Of this object">{TABS.map(([id, title]) => (
        <a href={withQuery(url.pathname, "", { tab: id })} aria-current={tab === id ? "page" : undefined}>{title}
          {id === "status" && (status?.findings.length ?? 0) > 0 && <> ({status!.findings.length})</>}</a>
      ))}</nav>
      {problem && !gone && <ProblemNotice problem={problem} />}
      {gone && tab !== "history" && <Notice tone="warn">There is no {keyText(key)}. If it was deleted,
        its <a class="link" href={withQuery(url.pathname, "", { tab: "history" })}>history</a> can bring it back.</Notice>}
      {typed.current && manifest && <div hidden={tab !== ""}><Text of={manifest} status={status} at={url.searchParams.get("at") ?? ""} /></div>}
      {tab === "status" && manifest && <Status of={manifest} status={status} />}
      {tab === "references" && <ReferenceList path={path} />}
      {tab === "history" && <HistoryList of={key} path={path} chosen={Number(url.searchParams.get("revision")) || 0} />}
      {deleting && <Delete of={key} onClose={() => setDeleting(false)} />}
      <Twin path={!tab || (tab === "status" && !status) ? path : `${path}/${tab}`} command={commandFor(key, tab)} />
    </>
  );
}

function commandFor({ kind, namespace, name }: Key, tab: string): string {
  const verb = tab === "" ? "get" : tab === "history" ? "history" : "describe";
  return `clew ${verb} ${kind.toLowerCase()} ${name}${namespace && namespace !== "default" ? ` -n ${namespace}` : ""} -o json`;
}

function statusText(status: ObjectStatus): string {
  if (status.state === "held") return status.heldAt ? `held at generation ${status.heldAt}` : "held back";
  return status.state === "in force" || status.state === "pending" ? `${status.state} ${status.acknowledged}/${status.concerned}` : status.state;
}

function Text({ of, status, at }: { of: Manifest; status: ObjectStatus | undefined; at: string }) {
  const hidden = of.kind === "Secret";
  const shown = useMemo(() => manifestText(hidden ? masked(of) : of), [of]);
  if (hidden) {
    return <div class="stack"><Notice tone="info">The values of a Secret are not shown. Change it with <code>clew apply</code>.</Notice>
      <pre class="text editor" tabIndex={0}>{shown}</pre></div>;
  }
  const found = (status?.findings ?? []).map((each) => ({ ...each, line: each.field ? lineOf(shown, each.field) : 0 }));
  return <Workbench before={of} text={shown} namespace={of.metadata.namespace ?? ""} said={found} at={at ? lineOf(shown, at) : 0}
    side={status && <p class="soft">{status.message || status.state}</p>}
    onApplied={([key]) => { if (key && keyText(key) !== keyText(keyOf(of))) go(objectUrl(key)); }} />;
}

function masked(of: Manifest): Manifest {
  const hide = (values?: Record<string, string>) => values && Object.fromEntries(Object.keys(values).map((name) => [name, "•••"]));
  return { ...of, ...(of.data ? { data: hide(of.data) } : {}), ...(of.stringData ? { stringData: hide(of.stringData) } : {}) } as Manifest;
}

function Status({ of, status }: { of: Manifest; status: ObjectStatus | undefined }) {
  return (
    <div class="stack">
      {status && <Panel title="In force"><div class="body"><dl class="facts">
        <dt>State</dt><dd><StatePill state={status.state} text={statusText(status)} /></dd>
        {status.message && <><dt>What that means</dt><dd>{status.message}</dd></>}
        {status.reason && <><dt>Envoy says</dt><dd class="mono">{status.reason}</dd></>}
        {status.waiting.length > 0 && <><dt>Without it</dt><dd>{status.waiting.map((node) =>
          <div><a class="link" href={`/proxies/${encodeURIComponent(node)}`}>{node.split("~")[2] ?? node}</a></div>)}</dd></>}
      </dl></div></Panel>}
      {status && <Panel title="Findings"><div class="body">{status.findings.length ? <Findings of={status.findings} /> : <span class="soft">There is nothing to say against it.</span>}</div></Panel>}
      {of.status && <Panel title="Status"><pre class="text" tabIndex={0}>{toYaml(of.status)}</pre></Panel>}
    </div>
  );
}

function ReferenceList({ path }: { path: string }) {
  const { data, problem } = useLive<References>(`${path}/references`, ["objects"]);
  if (problem) return <ProblemNotice problem={problem} />;
  if (!data) return null;
  const table = (of: Reference[], none: string, own: boolean) => of.length ? (
    <div class="tablewrap"><table><thead><tr><th>Object</th><th>{own ? "Named in" : "It names this in"}</th></tr></thead><tbody>
      {of.map((each) => <tr>
        <td><KeyLink of={each.key} field={own ? "" : each.field} />{!each.exists && <> <StatePill state="rejected" text="does not exist" /></>}</td>
        <td><a class="mono soft" href={own ? withQuery(location.pathname, "", { at: each.field }) : objectUrl(each.key, { at: each.field })}>{each.field}</a></td>
      </tr>)}</tbody></table></div>
  ) : <Empty>{none}</Empty>;
  return (
    <div class="stack">
      <Panel title="It names">{table(data.to, "It names no other object.", true)}</Panel>
      <Panel title="It is named by">{table(data.by, "No object names it.", false)}</Panel>
    </div>
  );
}

const WORDS: Record<string, string> = { create: "created", update: "changed", delete: "deleted", rollback: "rolled back" };

function HistoryList({ of, path, chosen }: { of: Key; path: string; chosen: number }) {
  const { data, problem } = useLive<{ items: HistoryItem[] }>(`${path}/history`, ["objects"]);
  const [back, setBack] = useState(0);
  if (problem) return <ProblemNotice problem={problem} />;
  if (!data) return null;
  if (!data.items.length) return <Empty>The store of this mesh keeps no history.</Empty>;
  const hidden = of.kind === "Secret";
  const index = Math.max(0, data.items.findIndex((each) => each.revision === chosen));
  const item = data.items[index]!, older = data.items[index + 1];
  const text = (each: HistoryItem | undefined) => (each?.object ? manifestText(hidden ? masked(each.object) : each.object) : "");
  return (
    <div class="two">
      <Panel title={older ? `Revision ${older.revision} → ${item.revision}` : `Revision ${item.revision}`}
        actions={index > 0 && item.object && <button class="btn small" type="button" onClick={() => setBack(item.revision)}><Icon name="back" size={14} />Roll back to {item.revision}</button>}>
        <div class="body"><Diff before={text(older)} after={text(item)} /></div>
      </Panel>
      <Panel title="Revisions">
        <ul>{data.items.map((each) => (
          <li><a class="row" href={withQuery(location.pathname, "", { tab: "history", revision: String(each.revision) })} aria-current={each === item ? "true" : undefined}>
            <span class="grow"><b class="num">{each.revision}</b> {WORDS[each.action] ?? each.action} by {each.author || "somebody"}
              <div class="hint"><time dateTime={each.at}>{age(each.at)} ago</time>{each === item && ", shown"}</div></span>
            <span class="chev"><Icon name="chevron" /></span></a></li>
        ))}</ul>
      </Panel>
      {back > 0 && <RollBack of={of} revision={back} onClose={() => setBack(0)} />}
    </div>
  );
}

function Delete({ of, onClose }: { of: Key; onClose: () => void }) {
  const { data } = useLive<References>(`${objectPath(of)}/references`, []);
  const send = async () => {
    try {
      await remove(of);
      toast("good", `${keyText(of)} is deleted; its history can bring it back`);
      go("/configuration");
    } catch (error) {
      toast("bad", (error as Error).message);
    }
    onClose();
  };
  return (
    <Dialog title={`Delete ${keyText(of)}?`} onClose={onClose} footer={<>
      <button class="btn" type="button" onClick={onClose}>Cancel</button>
      <button class="btn danger" type="button" onClick={() => void send()}>Delete</button></>}>
      {data && data.by.length > 0 && <Notice tone="warn">It is named by {data.by.length === 1 ? "another object" : `${data.by.length} other objects`}:
        <ul>{data.by.slice(0, 8).map((each) => <li><KeyLink of={each.key} /></li>)}</ul></Notice>}
      <p>The proxies go on without it at once. Its history stays, and can bring it back.</p>
    </Dialog>
  );
}

