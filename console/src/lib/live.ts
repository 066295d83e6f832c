// What is shown stays true: an event says that something changed, and what shows it reads it again.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiProblem, ask, authorization } from "./api";
import { readEvents } from "./events";
import type { Overview } from "./types";

export type Topic = "objects" | "proxies" | "troubles";
const TOPICS: readonly string[] = ["objects", "proxies", "troubles"] satisfies Topic[];
type Listener = (topic: Topic) => void;

const listeners = new Set<Listener>();
const watchers = new Set<(connected: boolean) => void>();
let connected = false;

export function follow(): void {
  void run();
}

async function run(): Promise<void> {
  let wait = 250;
  for (;;) {
    try {
      await readEvents("/v1/events", authorization(), (event) => {
        wait = 250;
        if (!connected) {
          report(true);
          // Whatever happened while nobody listened.
          listeners.forEach((tell) => { tell("objects"); tell("proxies"); });
        } else if (TOPICS.includes(event.name)) {
          listeners.forEach((tell) => tell(event.name as Topic));
        }
      }, new AbortController().signal);
    } catch {
      // The control plane is away, or is starting.
    }
    report(false);
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(wait * 2, 5000);
  }
}

function report(now: boolean): void {
  connected = now;
  watchers.forEach((tell) => tell(now));
}

export function useConnected(): boolean {
  const [now, set] = useState(connected);
  useEffect(() => {
    watchers.add(set);
    set(connected);
    return () => void watchers.delete(set);
  }, []);
  return now;
}

export interface Live<T> { data: T | undefined; problem: ApiProblem | undefined; again: () => void }
interface Found { data?: unknown; problem?: ApiProblem }
interface Source { found: Found; readers: Set<(found: Found) => void>; read: () => void; close: () => void }

const LONGEST_WAIT = 2500;
// Views that show the same share one answer.
const sources = new Map<string, Source>();

function sourceOf(path: string, wanted: string): Source {
  const id = `${path} ${wanted}`, known = sources.get(id);
  if (known) return known;
  let asking = false, dirty = false;
  const read = async () => {
    if (asking) { dirty = true; return; }
    asking = true;
    dirty = false;
    const since = performance.now();
    try {
      source.found = { data: await ask<unknown>(path) };
    } catch (error) {
      source.found = { ...source.found, problem: error as ApiProblem };
    }
    source.readers.forEach((tell) => tell(source.found));
    // What is slow to answer is asked less often: one view keeps a server busy a tenth of the time,
    // but what is wrong is not to wait for long.
    await new Promise((done) => setTimeout(done, Math.min(9 * (performance.now() - since), LONGEST_WAIT)));
    asking = false;
    if (dirty && source.readers.size) void read();
  };
  const listener: Listener = (topic) => { if (wanted.includes(topic)) void read(); };
  const source: Source = {
    found: {}, readers: new Set(), read: () => void read(),
    close: () => { listeners.delete(listener); sources.delete(id); },
  };
  listeners.add(listener);
  sources.set(id, source);
  void read();
  return source;
}

/** The answer of an address, read again whenever one of the topics changes. "" asks nothing. */
export function useLive<T>(path: string, topics: readonly Topic[] = ["objects", "proxies"]): Live<T> {
  const wanted = topics.join();
  const [state, set] = useState<{ path: string; found: Found }>({ path, found: sources.get(`${path} ${wanted}`)?.found ?? {} });
  const again = useRef(() => {});
  useEffect(() => {
    if (!path) return;
    const source = sourceOf(path, wanted);
    const reader = (found: Found) => set({ path, found });
    source.readers.add(reader);
    again.current = source.read;
    reader(source.found);
    return () => {
      source.readers.delete(reader);
      if (!source.readers.size) source.close();
    };
  }, [path, wanted]);
  const { data, problem } = state.path === path ? state.found : {};
  return { data: data as T | undefined, problem, again: () => again.current() };
}

/** The mesh at a glance, and what is wrong in it. */
export function useOverview(): Live<Overview> {
  return useLive<Overview>("/v1/overview", ["objects", "proxies", "troubles"]);
}
