// Requests of one service as they happen, for as long as somebody watches.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiProblem } from "../lib/api";
import { flagWords } from "../lib/flags";
import { blamedKey, hasFailed, isFor, newest, SECONDS, type TapEvent, tapPath, watch } from "../lib/tap";
import { clusterOf } from "../lib/traces";
import { count, milliseconds, shortHost } from "../lib/words";
import { Empty, KeyLink, Panel, Pill, ProblemNotice } from "./parts";

// As often as a table can be drawn anew and read.
const DRAWN_MS = 250;

type State = "" | "watching" | "over" | "stopped";
interface Seen { lines: TapEvent[]; requests: number; failed: number; missed: number }
const NONE: Seen = { lines: [], requests: 0, failed: 0, missed: 0 };

export function LiveRequests({ namespace, host }: { namespace: string; host: string }) {
  const [onlyFailed, setOnly] = useState(false), [frozen, freeze] = useState<Seen>();
  const only = useRef(onlyFailed);
  only.current = onlyFailed;
  const { state, seen, problem, start, stop } = useTap(namespace, host, (event) => !only.current || hasFailed(event));
  const watching = state === "watching", { lines, requests, failed, missed } = frozen ?? seen;
  const shown = onlyFailed ? lines.filter(hasFailed) : lines;
  const toggle = () => {
    freeze(undefined);
    if (watching) stop(); else start();
  };
  return (
    <Panel title="Live requests" actions={<>
      {watching && <button class="btn small" type="button" aria-pressed={!!frozen} onClick={() => freeze(frozen ? undefined : seen)}>Hold</button>}
      <button class={`btn small ${watching ? "" : "primary"}`} type="button" onClick={toggle}>{watching ? "Stop" : "Watch requests"}</button></>}>
      <div class="body stack">
        <p class="soft" role="status">{saysOf(state, !!frozen)}</p>
        {problem && <ProblemNotice problem={problem} />}
        {state && <div class="liveline">
          <label class="check"><input type="checkbox" checked={onlyFailed} onChange={(event) => setOnly(event.currentTarget.checked)} />Failed only (4xx, 5xx, no response)</label>
          <span class="soft num">{count(requests, "request")}, {failed} failed{missed > 0 && `, ${missed} more not shown: there are too many`}</span></div>}
      </div>
      {shown.length > 0 ? <Requests of={shown} namespace={namespace} /> : watching && <Empty>Nobody has asked it {onlyFailed ? "in vain " : ""}since.</Empty>}
      <p class="body soft">In a terminal: <code>clew tap --to {shortHost(host)}</code></p>
    </Panel>
  );
}

function saysOf(state: State, held: boolean): string {
  if (held) return "The table stands still; requests are counted on.";
  if (state === "watching") return `Proxies tell of each request. It ends by itself after ${SECONDS / 60} minutes.`;
  if (state === "over") return "It has ended: nobody watches now.";
  if (state === "stopped") return "Stopped: nobody watches now.";
  return "Proxies tell of single requests only while somebody watches, as it costs them a little.";
}

/** `wanted`: which requests are kept; all are counted. Ends with the page. */
function useTap(namespace: string, host: string, wanted: (event: TapEvent) => boolean) {
  const [state, setState] = useState<State>(""), [seen, show] = useState(NONE), [problem, fail] = useState<ApiProblem>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const start = () => {
    const own = (running.current = new AbortController());
    let found = NONE, timer = 0;
    const draw = () => { timer = 0; if (!own.signal.aborted) show(found); };
    const take = (events: TapEvent[]) => {
      const ours = events.filter((event) => isFor(event, namespace, host));
      found = {
        lines: newest(ours.filter(wanted), found.lines), requests: found.requests + ours.length,
        failed: found.failed + ours.filter(hasFailed).length, missed: found.missed + events.reduce((sum, event) => sum + event.missed, 0),
      };
      timer ||= window.setTimeout(draw, DRAWN_MS);
    };
    show(NONE);
    fail(undefined);
    setState("watching");
    watch(tapPath(host), take, own.signal).then(() => setState("over"), (error) => {
      if (own.signal.aborted) return;
      setState("");
      fail(problemOf(error));
    });
  };
  const stop = () => { running.current?.abort(); setState("stopped"); };
  return { state, seen, problem, start, stop };
}

function problemOf(error: unknown): ApiProblem {
  if (!(error instanceof ApiProblem)) return new ApiProblem(0, "The control plane went away", "Watch again once it is back.");
  if (error.status !== 403) return error;
  return new ApiProblem(403, error.message, "Requests show what users send, so this needs the role admin: clew token create --role admin");
}

function Requests({ of, namespace }: { of: readonly TapEvent[]; namespace: string }) {
  return (
    <div class="tablewrap liverequests" tabIndex={0} role="group" aria-label="Requests, the newest first"><table>
      <thead><tr><th>Time</th><th class="hide-small">From</th><th>Request</th><th class="hide-small">To</th><th>Status</th><th class="right hide-small">Took</th></tr></thead>
      {of.map((each, place) => <Rows key={`${each.at} ${place}`} of={each} namespace={namespace} />)}
    </table></div>
  );
}

function Rows({ of, namespace }: { of: TapEvent; namespace: string }) {
  const named = (workload: string) => (workload.startsWith(`${namespace}/`) ? workload.slice(namespace.length + 1) : workload);
  const source = named(of.source) || "outside", destination = named(of.destination) || of.authority, subset = clusterOf(of.cluster)?.subset;
  const explained = new Set(of.explanations.map((each) => each.flag)), other = of.flags.filter((flag) => !explained.has(flag));
  const request = `${of.method} ${of.path}`;
  return (
    <tbody>
      <tr>
        <td class="num nowrap"><time dateTime={of.at}>{new Date(of.at).toLocaleTimeString([], { hour12: false })}</time>
          {of.trace && <div><a class="link" href={`/traces/${of.trace}`}>trace<span class="sr"> of {request}</span></a></div>}</td>
        <td class="hide-small">{source}</td>
        <td class="wrap"><span class="mono">{request}</span>
          <div class="show-small soft">{source} → {destination}, {milliseconds(of.duration)}</div></td>
        <td class="hide-small">{destination}{subset && <span class="soft"> {subset}</span>}{of.upstream && <div class="mono faint nowrap">{of.upstream}</div>}</td>
        <td><Pill tone={of.status === 0 || of.status >= 500 ? "bad" : of.status >= 400 ? "warn" : "good"}>{of.status || "none"}</Pill>
          {of.flags.length > 0 && <div class="mono soft">{of.flags.join()}</div>}</td>
        <td class="right num nowrap hide-small">{milliseconds(of.duration)}</td>
      </tr>
      {(of.explanations.length > 0 || other.length > 0) && <tr class="why"><td colSpan={6} class="wrap">
        {of.explanations.map((each) => <p><span class="badtext">It {each.says}.</span>{each.objects.map((name) => <Blamed of={name} />)}
          {each.hint && <span class="soft"> ({each.hint})</span>}</p>)}
        {other.length > 0 && <p class="soft">It {flagWords(other.join())}.</p>}</td></tr>}
    </tbody>
  );
}

function Blamed({ of }: { of: string }) {
  const key = blamedKey(of);
  return <> {key ? <KeyLink of={key} /> : of}</>;
}
