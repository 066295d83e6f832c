// One request, hop by hop: when each span was, and what the proxy that tells of it says.
import { useEffect, useState } from "preact/hooks";
import { type ApiProblem, ask } from "../lib/api";
import { serviceUrl, setQuery } from "../lib/router";
import { barOf, clusterOf, coloured, factsOf, type Trace, type TraceSpan } from "../lib/traces";
import { count, milliseconds } from "../lib/words";
import { Icon } from "../ui/icons";
import { Head, Panel, Pill, ProblemNotice, Twin } from "../ui/parts";
import type { ViewProps } from "../views";

export function TracePage({ parts, url }: ViewProps) {
  const id = parts[0]!, path = `/v1/traces/${encodeURIComponent(id)}`;
  const [data, set] = useState<Trace>(), [problem, fail] = useState<ApiProblem>();
  useEffect(() => { ask<Trace>(path).then(set, fail); }, [path]);
  if (!data) return problem ? <><Head title="Trace" /><ProblemNotice problem={problem} /></> : null;
  const { summary, spans } = data, colours = coloured(spans);
  const open = url.searchParams.get("span") ?? spans.find((each) => each.error)?.id ?? "";
  const marks = [0, 0.25, 0.5, 0.75, 1];
  return (
    <>
      <Head title={summary.operation || "Trace"} sub={<>
        {summary.status > 0 && <Pill tone={summary.status >= 500 ? "bad" : summary.status >= 400 ? "warn" : "good"}>{summary.status}</Pill>}
        <span class="num">{milliseconds(summary.duration)}</span><span>{count(summary.spans, "span")}</span>
        {summary.errors > 0 && <span class="badtext">{summary.errors} failed</span>}
        <time dateTime={summary.start}>{new Date(summary.start).toLocaleString()}</time><code class="faint wrap">{summary.id}</code></>} />
      <Panel title="Hop by hop" actions={<ul class="legend beside">{[...colours].map(([service, colour]) => <li class={`s${colour}`}><i /><span class="soft">{service}</span></li>)}</ul>}>
        <div class="waterfall">
          <div class="ticks num" aria-hidden="true">{marks.map((share) => <span style={{ left: `${100 * share}%` }}>{milliseconds(summary.duration * share)}</span>)}</div>
          <ol>{spans.map((span) => <Span key={span.id} of={span} whole={summary.duration} colour={colours.get(span.service)!} open={span.id === open}
            onToggle={() => setQuery({ span: span.id === open ? "none" : span.id })} />)}</ol>
        </div>
      </Panel>
      <Twin path={path} command={`clew trace show ${id} -o json`} />
    </>
  );
}

function Span({ of, whole, colour, open, onToggle }: { of: TraceSpan; whole: number; colour: number; open: boolean; onToggle: () => void }) {
  const { left, width } = barOf(of, whole), flags = String(of.attributes.response_flags ?? "-");
  const place = left + width <= 72 ? "after" : left >= 30 ? "before" : "within";
  const kind = of.kind === "internal" || of.kind === "unspecified" ? "" : of.kind === "server" ? "took the call" : of.kind === "client" ? "made the call" : of.kind;
  return (
    <li class={of.error ? "failed" : ""}>
      <button class="span" type="button" aria-expanded={open} onClick={onToggle}>
        <span class="who" style={{ paddingLeft: `${Math.min(of.depth, 12) * 14}px` }}>
          <span class={`chev ${open ? "open" : ""}`}><Icon name="chevron" size={12} /></span>
          <span><b>{of.service}</b> <span class="faint">{kind}</span><span class="soft op">{of.operation}</span></span>
        </span>
        <span class="lane"><i class={of.error ? "bar error" : `bar c${colour}`} style={{ left: `${left}%`, width: `${width}%` }} />
          <span class={`num took ${place}`} style={place === "after" ? { left: `${left + width}%` } : place === "before" ? { right: `${100 - left}%` } : { left: `${left}%` }}>
            {milliseconds(of.duration)}{of.status >= 400 && <b class="badtext"> {of.status}</b>}{flags !== "-" && <b class="badtext"> {flags}</b>}</span></span>
      </button>
      {open && <Facts of={of} />}
    </li>
  );
}

function Facts({ of }: { of: TraceSpan }) {
  const target = clusterOf(String(of.attributes.upstream_cluster ?? "")), namespace = target?.host.split(".")[1] ?? "";
  const attributes = Object.entries({ ...of.resource, ...of.attributes }).sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <div class="spanfacts">
      <dl class="facts">{factsOf(of).map(([name, words]) => <><dt>{name}</dt><dd class={name === "Why" ? "badtext" : ""}>{words}</dd></>)}
        {of.events.map((event) => <><dt class="num">+{milliseconds(event.offset)}</dt><dd>{event.name}</dd></>)}</dl>
      {target?.direction === "outbound" && <p><a class="link" href={serviceUrl(namespace, target.host)}>Routing, endpoints and policies of {target.host.split(".")[0]}</a></p>}
      <details><summary>All {attributes.length} attributes</summary>
        <dl class="facts mono">{attributes.map(([name, value]) => <><dt>{name}</dt><dd>{String(value)}</dd></>)}</dl></details>
    </div>
  );
}
