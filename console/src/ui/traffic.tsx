// Requests, errors and latency of the last quarter of an hour, whoever's they are.
import { useMemo } from "preact/hooks";
import type { Mark } from "../lib/chart";
import { useLive } from "../lib/live";
import { objectUrl } from "../lib/router";
import { useSeries } from "../lib/traffic";
import type { RecentChange, Series } from "../lib/types";
import { keyText, milliseconds, rate } from "../lib/words";
import { Chart } from "./chart";
import { Empty, Panel } from "./parts";

const WINDOW = "window=900&step=15";

/** `failed`: where the requests that failed are to be found. */
export function TrafficPanel({ service = "", changes, failed = "" }: { service?: string; changes: readonly RecentChange[]; failed?: string }) {
  const only = service && `&service=${encodeURIComponent(service)}`;
  const path = `/v1/traffic/series?${WINDOW}${only}`;
  const all = useSeries(path), versions = useSeries(`/v1/traffic/series?${WINDOW}${only}&by=version`);
  const marks = useMemo(() => changes.map(markOf), [changes]);
  if (!all) return null;
  const points = all.series[0]?.points ?? [];
  const times = points.map((point) => point.at);
  const busy = points.some((point) => point.requests > 0);
  const split = service ? (versions?.series ?? []).filter((each) => each.name && each.points.some((point) => point.requests > 0)) : [];
  const requests = split.length > 1 ? split.slice(0, 5).map((each, place) => ({ name: each.name, tone: `s${place}`, values: fitted(each, times) }))
    : [{ name: "", tone: "s0", values: points.map((point) => point.requests) }];
  return (
    <Panel title="Traffic of the last 15 minutes" actions={<>{failed && <a class="link" href={failed}>Failed requests</a>}<a class="link" href={path} target="_blank">as JSON</a></>}>
      {busy ? <div class="body charts">
        <Chart title="Requests" unit="per second" times={times} marks={marks} area={requests.length === 1} format={rate} lines={requests} />
        <Chart title="Errors" unit="per second" times={times} marks={marks} format={rate} lines={[
          { name: "5xx", tone: "bad", values: points.map((point) => point.serverErrors) },
          { name: "4xx", tone: "warn", values: points.map((point) => point.clientErrors) }]} />
        <Chart title="Latency" unit="" times={times} marks={marks} format={milliseconds} lines={[
          { name: "p50", tone: "s0", values: points.map((point) => point.p50) },
          { name: "p90", tone: "s1", values: points.map((point) => point.p90) },
          { name: "p99", tone: "s2", values: points.map((point) => point.p99) }]} />
      </div> : <Empty>{service ? "Nobody has asked it anything." : "No requests have gone through the mesh."}</Empty>}
    </Panel>
  );
}

/** The requests of a series at these times. */
function fitted(series: Series, times: readonly number[]): number[] {
  const by = new Map(series.points.map((point) => [point.at, point.requests]));
  return times.map((time) => by.get(time) ?? 0);
}

function markOf(change: RecentChange): Mark {
  return {
    at: Date.parse(change.at) / 1000,
    text: `${keyText(change.key)}, ${change.action} by ${change.author || "somebody"}${change.differences[0] ? `: ${change.differences[0]}` : ""}`,
    url: objectUrl(change.key, { tab: "history", revision: String(change.revision) }),
  };
}

/** Those changes that can have an effect on one service. */
export function useChangesOf(host: string): RecentChange[] {
  const { data } = useLive<{ items: RecentChange[] }>("/v1/changes?limit=100", ["objects"]);
  const name = host.split(".")[0]!;
  return (data?.items ?? []).filter((each) => each.key.name.includes(name) || ["Gateway", "Sidecar", "EnvoyFilter", "PeerAuthentication", "AuthorizationPolicy"].includes(each.key.kind));
}
