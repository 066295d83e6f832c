// Live traffic: one stream of the last minute for all who look, and charts read again with it.
import { useEffect, useState } from "preact/hooks";
import { ask, authorization } from "./api";
import { readEvents } from "./events";
import type { SeriesList, TrafficGraph } from "./types";

type Listener = (graph: TrafficGraph) => void;

const listeners = new Set<Listener>();
let latest: TrafficGraph | undefined;
let stop: AbortController | undefined;

async function run(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await readEvents("/v1/traffic/events?window=60", authorization(), ({ data }) => {
        latest = JSON.parse(data) as TrafficGraph;
        listeners.forEach((tell) => tell(latest!));
      }, signal);
    } catch {
      // The control plane is away; the shell says so.
    }
    if (!signal.aborted) await new Promise((done) => setTimeout(done, 2000));
  }
}

function listen(listener: Listener): () => void {
  listeners.add(listener);
  if (!stop) void run((stop = new AbortController()).signal);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) { stop?.abort(); stop = undefined; }
  };
}

/** The traffic of the last minute, as it comes. */
export function useTraffic(): TrafficGraph | undefined {
  const [graph, set] = useState(latest);
  useEffect(() => listen(set), []);
  return graph;
}

const READ_AGAIN = 5000;

/** Series of an address, read again while there is traffic to tell of. */
export function useSeries(path: string): SeriesList | undefined {
  const [found, set] = useState<SeriesList>();
  useEffect(() => {
    let gone = false, asking = false, at = -READ_AGAIN;
    const read = async () => {
      if (asking || performance.now() - at < READ_AGAIN) return;
      asking = true;
      at = performance.now();
      try {
        const series = await ask<SeriesList>(path);
        if (!gone) set(series);
      } catch {
        // The next event asks again.
      }
      asking = false;
    };
    void read();
    const forget = listen(() => void read());
    return () => { gone = true; forget(); };
  }, [path]);
  return found;
}
