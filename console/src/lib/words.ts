// Times, sizes and names the way people read them.
import type { Key } from "./types";

/** `45s`, `12m`, `3h`, `5d`, as kubectl rounds. */
export function age(at: string | undefined, now = Date.now()): string {
  const since = at ? Date.parse(at) : NaN;
  if (Number.isNaN(since)) return "–";
  return span(Math.max(0, (now - since) / 1000));
}

export function span(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1048576 ? `${(count / 1024).toFixed(1)} KB` : `${(count / 1048576).toFixed(1)} MB`;
}

/** Requests per second: `0.4`, `12.3`, `240`, `1.2k`. */
export function rate(perSecond: number): string {
  if (perSecond >= 1000) return `${(perSecond / 1000).toFixed(1)}k`;
  return String(Number(perSecond.toFixed(perSecond >= 100 ? 0 : perSecond >= 1 ? 1 : 2)));
}

export function milliseconds(time: number): string {
  if (time >= 1000) return `${Number((time / 1000).toFixed(2))} s`;
  return `${Number(time.toFixed(time >= 10 ? 0 : 1))} ms`;
}

export function percent(share: number): string {
  return `${Number(share.toFixed(1))} %`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function keyText(key: Key): string {
  return key.namespace ? `${key.kind} ${key.namespace}/${key.name}` : `${key.kind} ${key.name}`;
}

/** Whether a finding keeps its object from being applied. */
export function isError(finding: { severity: string }): boolean {
  return finding.severity.toLowerCase() === "error";
}

/** `reviews.default.svc.cluster.local` → `reviews` where the namespace is said elsewhere. */
export function shortHost(host: string): string {
  const found = /^([^.]+)\.[^.]+\.svc\./.exec(host);
  return found ? found[1]! : host;
}
