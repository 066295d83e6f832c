// Single requests through the mesh: found by who took part, how it ended and how long it took.
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiProblem, ask } from "../lib/api";
import { setQuery } from "../lib/router";
import { searchPath, type TraceSummary } from "../lib/traces";
import { useTraffic } from "../lib/traffic";
import { age, count, milliseconds } from "../lib/words";
import { Empty, Head, Panel, Pill, ProblemNotice, Twin, useEntered } from "../ui/parts";
import type { ViewProps } from "../views";

const TIMES: Record<string, string> = { "": "Any time", 300: "Last 5 minutes", 900: "Last 15 minutes", 3600: "Last hour", 21600: "Last 6 hours" };
const STATUSES: Record<string, string> = { "": "Any status", error: "Failed", 200: "200", 401: "401", 403: "403", 404: "404", 429: "429", 500: "500", 502: "502", 503: "503", 504: "504" };
const MORE = 50, MOST = 1000;

export function Traces({ url }: ViewProps) {
  const query = Object.fromEntries(url.searchParams) as Record<string, string>;
  const { found, problem } = useFound(url.search, query);
  const shortest = useEntered(query.minDuration ?? "", (value) => setQuery({ minDuration: value.trim() }));
  const [services, setServices] = useState<string[]>([]);
  useEffect(() => { void ask<{ data: string[] }>("/api/services").then(({ data }) => setServices(data ?? []), () => {}); }, []);
  const longest = Math.max(...(found ?? []).map((each) => each.duration), 1), limit = Number(query.limit ?? MORE);
  return (
    <>
      <Head title="Traces" sub={found && `${found.length === limit ? "the newest " : ""}${count(found.length, "trace")}`} />
      <div class="filters" role="search">
        <input type="search" aria-label="Service" placeholder="Service that takes part: reviews.default" value={query.service ?? ""} list="traced"
          onInput={(event) => setQuery({ service: event.currentTarget.value })} />
        <datalist id="traced">{services.map((each) => <option value={each} />)}</datalist>
        <select aria-label="Status" value={query.status ?? ""} onChange={(event) => setQuery({ status: event.currentTarget.value })}>
          {[...Object.entries(STATUSES), ...(query.status && !(query.status in STATUSES) ? [[query.status, query.status]] : [])].map(([value, text]) => <option value={value}>{text}</option>)}</select>
        <input type="text" class="brief" aria-label="Took at least" placeholder="At least: 100ms" {...shortest} />
        <select aria-label="Time" value={query.last ?? ""} onChange={(event) => setQuery({ last: event.currentTarget.value })}>
          {Object.entries(TIMES).sort(([a], [b]) => Number(a) - Number(b)).map(([value, text]) => <option value={value}>{text}</option>)}</select>
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {found && !problem && <Panel title="Requests, the newest first">
        {found.length ? <div class="tablewrap"><table class="traces">
          <thead><tr><th>Request</th><th>Status</th><th class="lengths">Took</th><th class="right hide-small">Spans</th><th class="right">Began</th></tr></thead>
          <tbody>{found.map((each) => <Row key={each.id} of={each} longest={longest} />)}</tbody>
        </table></div> : <Empty>{Object.keys(query).length ? "No trace fits the filters."
          : "Nothing has been traced. Meshes on one machine trace every request; elsewhere Telemetry says how many."}</Empty>}
        {found.length === limit && limit < MOST && <div class="body"><button class="btn" type="button"
          onClick={() => setQuery({ limit: String(Math.min(MOST, limit + 2 * MORE)) })}>Show more</button></div>}
      </Panel>}
      <Twin path={searchPath(query, Date.now())} command={commandFor(query)} />
    </>
  );
}

function commandFor({ service, status, minDuration, last }: Record<string, string>): string {
  const options = [["--service", service], ["--status", status], ["--min-duration", minDuration], ["--since", last && `${last}s`]];
  return ["clew trace list", ...options.filter(([, value]) => value).map((each) => each.join(" ")), "-o json"].join(" ");
}

function Row({ of, longest }: { of: TraceSummary; longest: number }) {
  const failed = of.errors > 0 || of.status >= 500;
  return (
    <tr>
      <td><a class="name" href={`/traces/${of.id}`}>{of.operation || of.id}</a>
        <div class="soft">{of.services.map((each) => each.replace(/\.default$/, "")).join(" → ")}</div></td>
      <td>{of.status ? <Pill tone={of.status >= 500 ? "bad" : of.status >= 400 ? "warn" : failed ? "warn" : "good"}>{of.status}</Pill> : <span class="faint">–</span>}</td>
      <td class="lengths num nowrap">{milliseconds(of.duration)}<div class="meter" aria-hidden="true">
        <i class={failed ? "bad" : "good"} style={{ width: `${(100 * of.duration) / longest}%` }} /></div></td>
      <td class="right num hide-small nowrap">{of.spans}{of.errors > 0 && <span class="badtext"> ({of.errors} failed)</span>}</td>
      <td class="right num soft nowrap" title={of.start}>{age(of.start)} ago</td>
    </tr>
  );
}

const READ_AGAIN = 5000;

/** What a search finds, searched again while there is traffic to tell of. */
function useFound(search: string, query: Record<string, string>): { found?: TraceSummary[]; problem?: ApiProblem } {
  const [state, set] = useState<{ search: string; found?: TraceSummary[]; problem?: ApiProblem }>({ search });
  const again = useRef(() => {}), traffic = useTraffic();
  useEffect(() => {
    let gone = false, asking = false, at = -READ_AGAIN;
    const read = async () => {
      if (asking || performance.now() - at < READ_AGAIN) return;
      asking = true;
      at = performance.now();
      try {
        const { items } = await ask<{ items: TraceSummary[] }>(searchPath(query, Date.now()));
        if (!gone) set({ search, found: items });
      } catch (problem) {
        if (!gone) set({ search, problem: problem as ApiProblem });
      }
      asking = false;
    };
    again.current = () => void read();
    // What is typed is looked for when the hand rests.
    const timer = setTimeout(() => void read(), state.search === search ? 0 : 250);
    return () => { gone = true; clearTimeout(timer); };
  }, [search]);
  useEffect(() => again.current(), [traffic]);
  return state;
}
