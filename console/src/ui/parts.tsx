// The small pieces that all views are made of.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiProblem } from "../lib/api";
import { objectUrl } from "../lib/router";
import type { Finding, Key } from "../lib/types";
import { isError } from "../lib/words";
import { Icon, type IconName } from "./icons";

export type Tone = "good" | "warn" | "bad" | "info" | "";
const ICONS: Record<Exclude<Tone, "">, IconName> = { good: "check", warn: "warn", bad: "bad", info: "info" };

export function Pill({ tone, children, icon }: { tone: Tone; children: ComponentChildren; icon?: IconName }) {
  const shown = icon ?? (tone && ICONS[tone]);
  return <span class={`pill ${tone}`}>{shown && <Icon name={shown} size={13} />}{children}</span>;
}

export function Notice({ tone, children }: { tone: Exclude<Tone, "">; children: ComponentChildren }) {
  return (
    <div class={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={ICONS[tone]} /><div class="wrap">{children}</div>
    </div>
  );
}

export function ProblemNotice({ problem }: { problem: ApiProblem }) {
  return <Notice tone="bad">{problem.message}{problem.hint && <div class="hint">{problem.hint}</div>}</Notice>;
}

export function KeyLink({ of, field = "", short = false }: { of: Key; field?: string; short?: boolean }) {
  return (
    <a class="keylink" href={objectUrl(of, field ? { at: field } : {})}>
      <span class="k">{of.kind} </span>
      <span class="n">{!short && of.namespace ? `${of.namespace}/${of.name}` : of.name}</span>
    </a>
  );
}

export function Panel({ title, actions, children, id }: { title: string; actions?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <section class="panel" aria-label={title} id={id}>
      <header><h2>{title}</h2>{actions}</header>
      {children}
    </section>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Head({ title, sub, actions }: { title: ComponentChildren; sub?: ComponentChildren; actions?: ComponentChildren }) {
  return (
    <div class="head">
      <div class="titles"><h1>{title}</h1>{sub && <div class="sub">{sub}</div>}</div>
      {actions && <div class="actions">{actions}</div>}
    </div>
  );
}

/** The same as JSON: what programs read, and what to type in a terminal. */
export function Twin({ path, command }: { path: string; command?: string }) {
  return (
    <footer class="foot">
      <span>This view as JSON: <a class="link" href={path} target="_blank"><code>GET {decodeURIComponent(path)}</code></a></span>
      {command && <span>In a terminal: <code>{command}</code></span>}
    </footer>
  );
}

/** Of a field whose value counts once it is entered; until then it keeps what is typed, whatever is drawn anew. */
export function useEntered(value: string, onEnter: (value: string) => void) {
  const [typed, set] = useState<string>();
  return {
    value: typed ?? value,
    onInput: (event: { currentTarget: HTMLInputElement }) => set(event.currentTarget.value),
    onChange: (event: { currentTarget: HTMLInputElement }) => { set(undefined); onEnter(event.currentTarget.value); },
    onBlur: () => set(undefined),
  };
}

export function Findings({ of, onPick }: { of: readonly Finding[]; onPick?: (finding: Finding) => void }) {
  return (
    <ul class="findings">
      {of.map((each) => {
        const error = isError(each);
        const text = <>
          {each.problem}
          {each.hint && <div class="soft">{each.hint}</div>}
          <div class="at">{[each.line ? `line ${each.line}` : "", each.field, each.code].filter(Boolean).join(" · ")}</div>
        </>;
        return (
          <li class={error ? "bad" : "warn"}>
            <Icon name={error ? "bad" : "warn"} size={14} />
            <span class="sr">{each.severity}: </span>
            {onPick && each.line ? <button type="button" onClick={() => onPick(each)}>{text}</button> : <div>{text}</div>}
          </li>
        );
      })}
    </ul>
  );
}

export function Health({ healthy, of }: { healthy: number; of: number }) {
  if (!of) return <span class="faint">none</span>;
  const tone = healthy === of ? "good" : healthy ? "warn" : "bad";
  return <Pill tone={tone}>{healthy === of ? `${of} healthy` : `${healthy} of ${of} healthy`}</Pill>;
}

/** The browser's own modal dialog: it keeps the focus inside and closes with Escape. */
export function Dialog({ title, onClose, children, footer, kind = "" }: {
  title: string; onClose: () => void; children: ComponentChildren; footer?: ComponentChildren; kind?: string;
}) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
    // Not on what happens to come first in it; what has no foot knows itself.
    if (footer) box.current?.focus();
  }, []);
  return (
    <dialog ref={box} tabIndex={-1} class={kind} aria-label={title} onClose={onClose}
      onClick={(event) => event.target === box.current && onClose()}>
      <div class="inside">
        {footer ? <header><h2>{title}</h2></header> : null}
        {footer ? <div class="body">{children}</div> : children}
        {footer && <footer>{footer}</footer>}
      </div>
    </dialog>
  );
}

interface Toast { id: number; tone: Exclude<Tone, "">; text: string }
let showToast: (toast: Omit<Toast, "id">) => void = () => {};

export function toast(tone: Exclude<Tone, "">, text: string): void {
  showToast({ tone, text });
}

export function Toasts() {
  const [shown, set] = useState<Toast[]>([]);
  useEffect(() => {
    let next = 0;
    showToast = (toast) => {
      const id = next++;
      set((before) => [...before, { ...toast, id }]);
      setTimeout(() => set((before) => before.filter((each) => each.id !== id)), 6000);
    };
  }, []);
  return <div class="toasts" aria-live="polite">{shown.map((each) => <Notice key={each.id} tone={each.tone}>{each.text}</Notice>)}</div>;
}

/** How a state of an object looks. */
export function StatePill({ state, text }: { state: string; text?: string }) {
  const tone: Tone = state === "in force" ? "good" : state === "pending" ? "info"
    : state === "held" || state === "rejected" ? "bad" : state === "not supported" ? "warn" : "";
  return <Pill tone={tone} icon={state === "pending" ? "wait" : undefined}>{text || state}</Pill>;
}
