// Editor, what the mesh says of the text as it is typed, and the way to apply it.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiProblem, ask, validate } from "../lib/api";
import type { Schema } from "../lib/complete";
import { useKeeper } from "../lib/router";
import type { Finding, Key, Manifest, ServiceSummary } from "../lib/types";
import { isError } from "../lib/words";
import { parsed } from "../lib/yaml";
import { LazyEditor } from "./lazyeditor";
import { Findings, Panel, ProblemNotice } from "./parts";
import { findingsOf, Review } from "./review";

const QUIET = 300;

export function Workbench({ before, text: given, namespace, said = [], at = 0, side, onApplied }: {
  before: Manifest | null; text: string; namespace: string; said?: readonly Finding[]; at?: number;
  side?: ComponentChildren; onApplied: (keys: Key[]) => void;
}) {
  const [text, setText] = useState(given);
  const [shownText, setShownText] = useState({ text: given });
  const [base, setBase] = useState(given);
  const [based, setBased] = useState(before);
  const [found, setFound] = useState<Finding[]>();
  const [problem, setProblem] = useState<ApiProblem>();
  const [reviewing, setReviewing] = useState(false);
  const [line, setLine] = useState({ line: at });
  const changed = text !== base;
  const restart = () => { setText(given); setShownText({ text: given }); setBase(given); setBased(before); };
  const stale = changed && given !== base;
  useEffect(() => {
    // A change of somebody else shows at once, unless this text is being edited.
    if (!changed || text === given) restart();
  }, [given, before?.metadata.resourceVersion]);
  useEffect(() => { if (at) setLine({ line: at }); }, [at]);
  useEffect(() => {
    if (!changed) { setFound(undefined); setProblem(undefined); return; }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      validate(text, namespace || "default", abort.signal).then(
        (report) => { setFound(findingsOf(report)); setProblem(undefined); },
        (error) => { if (!abort.signal.aborted) setProblem(error); });
    }, QUIET);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [text, changed]);
  useEffect(() => {
    if (!changed) return;
    // The browser asks before it throws away what was typed.
    const keep = (event: Event) => event.preventDefault();
    addEventListener("beforeunload", keep);
    return () => removeEventListener("beforeunload", keep);
  }, [changed]);
  // Another address, or another kind of a new object, is another text.
  const kept = useRef(changed);
  kept.current = changed;
  const own = useRef(new URL(location.href));
  const isOther = (to: URL) => to.pathname !== own.current.pathname || to.searchParams.get("kind") !== own.current.searchParams.get("kind");
  useKeeper((to) => kept.current && isOther(to));
  const manifest = useMemo(() => parsed(text), [text]);
  const schema = useSchema(String(manifest?.apiVersion ?? ""), String(manifest?.kind ?? ""));
  const known = useKnown();
  const shown = changed ? (found ?? []) : said;
  const errors = shown.filter(isError).length;
  return (
    <div class="two">
      <LazyEditor given={shownText} onText={setText} findings={shown} schema={schema} known={known} at={line} label="YAML of the object" />
      <div class="stack">
        <Panel title={changed ? "Your change" : "This object"}>
          <div class="body stack">
            {side && !changed && side}
            {problem && <ProblemNotice problem={problem} />}
            {stale && <p class="soft">Somebody changed the object meanwhile. <button class="btn small" type="button"
              onClick={restart}>Take the new version</button></p>}
            {changed && found && !found.length && <p class="soft">The mesh has nothing against it.</p>}
            {shown.length > 0 && <Findings of={shown} onPick={(each) => setLine({ line: each.line })} />}
            <div class="actions">
              <button class="btn primary" type="button" disabled={!changed || !found || errors > 0} onClick={() => setReviewing(true)}>Review and apply</button>
              {changed && <button class="btn" type="button" onClick={restart}>Undo all</button>}
            </div>
          </div>
        </Panel>
        <p class="faint hide-small">In the editor: Ctrl Space for what may be written here; Esc and then Tab leave it.</p>
      </div>
      {reviewing && <Review proposals={[{ text, before: based }]} namespace={namespace || "default"} onClose={() => setReviewing(false)}
        onApplied={(keys) => { setReviewing(false); setBase(text); kept.current = false; onApplied(keys); }} />}
    </div>
  );
}

const schemas = new Map<string, Promise<Schema>>();

function useSchema(apiVersion: string, kind: string): Schema | undefined {
  const [schema, set] = useState<Schema>();
  useEffect(() => {
    const slash = apiVersion.lastIndexOf("/");
    const path = `/v1/schema/${slash < 0 ? "core" : apiVersion.slice(0, slash)}/${kind}`;
    if (!kind || !apiVersion) return;
    if (!schemas.has(path)) schemas.set(path, ask<Schema>(path));
    schemas.get(path)!.then(set, () => schemas.delete(path));
  }, [apiVersion, kind]);
  return schema;
}

/** Names of this mesh that fields can take. */
function useKnown(): Record<string, string[]> {
  const [known, set] = useState<Record<string, string[]>>({});
  useEffect(() => {
    void ask<{ items: ServiceSummary[] }>("/v1/services").then(({ items }) => {
      const hosts = [...new Set(items.map((each) => each.name))];
      set({ host: hosts, hosts, subset: [...new Set(items.flatMap((each) => each.versions))] });
    }, () => {});
  }, []);
  return known;
}
