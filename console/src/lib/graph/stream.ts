// The traffic of a window as it comes, for one view.
import { useEffect, useState } from "preact/hooks";
import { authorization } from "../api";
import { readEvents } from "../events";
import type { TrafficGraph } from "../types";

const AGAIN = 2000;

export function trafficPath(window: number, namespace: string, live = false): string {
  const query = new URLSearchParams({ window: String(window), ...(namespace ? { namespace } : {}) });
  return `/v1/traffic${live ? "/events" : ""}?${query}`;
}

/** `still`: what was last told stays as it is. */
export function useGraph(window: number, namespace: string, still: boolean): TrafficGraph | undefined {
  const path = trafficPath(window, namespace, true);
  const [found, set] = useState<{ path: string; graph: TrafficGraph }>();
  useEffect(() => {
    if (still) return;
    const stop = new AbortController();
    const run = async () => {
      while (!stop.signal.aborted) {
        try {
          await readEvents(path, authorization(), ({ data }) => set({ path, graph: JSON.parse(data) as TrafficGraph }), stop.signal);
        } catch {
          // The control plane is away; the shell says so.
        }
        if (!stop.signal.aborted) await new Promise((done) => setTimeout(done, AGAIN));
      }
    };
    void run();
    return () => stop.abort();
  }, [path, still]);
  return found?.graph;
}
