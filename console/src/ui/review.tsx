// Before anything is changed: the difference, what the mesh says of it, then apply.
import { useEffect, useState } from "preact/hooks";
import { apply, ApiProblem, keyOf, objectPath, ask, validate } from "../lib/api";
import type { ApplyReport, Finding, Key, Manifest, ObjectStatus } from "../lib/types";
import { keyText } from "../lib/words";
import { manifestText, parsed } from "../lib/yaml";
import { Diff } from "./diff";
import { Icon } from "./icons";
import { Dialog, Findings, Notice, ProblemNotice, toast } from "./parts";

export interface Proposal { text: string; before: Manifest | null }

/** Everything that is wrong in a report; what was refused without a finding included. */
export function findingsOf(report: ApplyReport): Finding[] {
  return report.items.flatMap((item) => [
    ...item.diagnostics,
    ...(item.error ? [{ severity: "error", problem: item.error, hint: "", code: "", file: "", line: 0, column: 0, object: "", field: "", text: item.error }] : []),
  ]);
}

export function isRefused(report: ApplyReport | undefined): boolean {
  return !report || !report.items.length || report.items.some((item) => item.result === "refused");
}

/** The text with the revision that was seen, so that nobody's change is overwritten unseen. */
function guarded({ text, before }: Proposal): string {
  const manifest = parsed(text);
  if (!manifest?.metadata || !before || keyText(keyOf(manifest)) !== keyText(keyOf(before))) return text;
  return JSON.stringify({ ...manifest, metadata: { ...manifest.metadata, resourceVersion: before.metadata.resourceVersion } });
}

export interface Prepared {
  report: ApplyReport | undefined; problem: ApiProblem | undefined; busy: boolean; send: () => Promise<void>;
}

/** What the mesh says of proposals as they are now, and how to apply them. */
export function useProposals(proposals: readonly Proposal[], namespace: string, onApplied: (keys: Key[]) => void): Prepared {
  const [report, setReport] = useState<ApplyReport>();
  const [problem, setProblem] = useState<ApiProblem>();
  const [busy, setBusy] = useState(false);
  const all = proposals.map((each) => each.text).join("\n---\n");
  useEffect(() => {
    const abort = new AbortController();
    setReport(undefined);
    const timer = setTimeout(() => {
      if (!all.trim()) return;
      validate(all, namespace, abort.signal).then(
        (found) => { setReport(found); setProblem(undefined); },
        (error) => { if (!abort.signal.aborted) setProblem(error); });
    }, 150);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [all, namespace]);
  const send = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      const applied: Key[] = [];
      for (const proposal of proposals) {
        const done = await apply(guarded(proposal), namespace);
        if (isRefused(done)) { setReport(done); return; }
        applied.push(...done.items.map((item) => item.key));
      }
      toast("good", `Applied: ${applied.map(keyText).join(", ")}`);
      applied.forEach((key) => void settle(key));
      onApplied(applied);
    } catch (error) {
      setProblem(error as ApiProblem);
    } finally {
      setBusy(false);
    }
  };
  return { report, problem, busy, send };
}

/** Say once the proxies have it, or that one refuses it. */
async function settle(key: Key): Promise<void> {
  try {
    const status = await ask<ObjectStatus>(`${objectPath(key)}/status?wait=15`);
    const good = status.state === "in force" || status.state === "no proxy";
    toast(good ? "good" : "warn", `${keyText(key)}: ${status.message || status.state}`);
  } catch {
    // Proxies do not acknowledge objects of this kind.
  }
}

/** The difference of each proposal, and what there is to say of all. */
export function Proposed({ proposals, prepared: { report, problem } }: { proposals: readonly Proposal[]; prepared: Prepared }) {
  const found = report ? findingsOf(report) : [];
  return <>
    {problem && <ProblemNotice problem={problem} />}
    {report && isRefused(report) && <Notice tone="bad">The mesh refuses this. Nothing was changed.</Notice>}
    {found.length > 0 && <Findings of={found} />}
    {proposals.map(({ text, before }) => {
      const manifest = parsed(text);
      return <>
        <h3>{manifest?.metadata ? keyText(keyOf(manifest)) : "Objects"}{!before && " (new)"}</h3>
        <Diff before={before ? manifestText(before) : ""} after={text} />
      </>;
    })}
  </>;
}

export function Review({ proposals, namespace, onClose, onApplied }: {
  proposals: readonly Proposal[]; namespace: string; onClose: () => void; onApplied: (keys: Key[]) => void;
}) {
  const prepared = useProposals(proposals, namespace, onApplied);
  return (
    <Dialog title="Review the change" onClose={onClose} footer={<>
      <span class="grow soft" role="status">{prepared.report && !isRefused(prepared.report) ? "The mesh accepts this." : ""}</span>
      <button class="btn" type="button" onClick={onClose}>Cancel</button>
      <ApplyButton prepared={prepared} />
    </>}>
      <Proposed proposals={proposals} prepared={prepared} />
    </Dialog>
  );
}

export function ApplyButton({ prepared, disabled = false }: { prepared: Prepared; disabled?: boolean }) {
  return (
    <button class="btn primary" type="button" disabled={disabled || prepared.busy || isRefused(prepared.report)}
      onClick={() => void prepared.send()}><Icon name="check" size={14} />Apply</button>
  );
}

export function RollBack({ of, revision, onClose }: { of: Key; revision: number; onClose: () => void }) {
  const [texts, setTexts] = useState<{ before: string; after: string }>();
  const [problem, setProblem] = useState<ApiProblem>();
  useEffect(() => {
    ask<{ items: { revision: number; object: Manifest | null }[] }>(`${objectPath(of)}/history`).then(({ items }) => {
      const text = (object: Manifest | null | undefined) => (object ? manifestText(object) : "");
      setTexts({ before: text(items[0]?.object), after: text(items.find((each) => each.revision === revision)?.object) });
    }, setProblem);
  }, []);
  const send = async () => {
    try {
      const done = await ask<{ result: string; error: string }>(`${objectPath(of)}/rollback?revision=${revision}`, { method: "POST" });
      if (done.result === "refused") throw new ApiProblem(422, done.error || "The mesh refuses that revision now");
      toast("good", `${keyText(of)} is as it was at revision ${revision}`);
      onClose();
    } catch (error) {
      setProblem(error as ApiProblem);
    }
  };
  return (
    <Dialog title={`Roll back ${keyText(of)} to revision ${revision}`} onClose={onClose} footer={<>
      <span class="grow soft">A rollback is a change like any other: it can be rolled back.</span>
      <button class="btn" type="button" onClick={onClose}>Cancel</button>
      <button class="btn primary" type="button" disabled={!texts} onClick={() => void send()}><Icon name="back" size={14} />Roll back</button>
    </>}>
      {problem && <ProblemNotice problem={problem} />}
      {texts && <Diff {...texts} />}
    </Dialog>
  );
}

