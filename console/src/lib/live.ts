// What is shown stays true: an event says that something changed, and what shows it reads it again.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiProblem, ask, authorization } from "./api";
import { readEvents } from "./events";

export type Topic = "objects" | "proxies";
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
        } else if (event.name === "objects" || event.name === "proxies") {
          const topic = event.name;
          listeners.forEach((tell) => tell(topic));
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

/** The answer of an address, read again whenever one of the topics changes. "" asks nothing. */
export function useLive<T>(path: string, topics: readonly Topic[] = ["objects", "proxies"]): Live<T> {
  const [found, set] = useState<{ path: string; data?: T; problem?: ApiProblem }>({ path });
  const again = useRef(() => {});
  const wanted = topics.join();
  useEffect(() => {
    if (!path) return;
    let gone = false, asking = false, dirty = false;
    const read = async () => {
      if (asking) { dirty = true; return; }
      asking = true;
      const since = performance.now();
      try {
        const data = await ask<T>(path);
        if (!gone) set({ path, data });
      } catch (error) {
        if (!gone) set((before) => ({ ...(before.path === path ? before : { path }), problem: error as ApiProblem }));
      }
      // What is slow to answer is asked less often: one view keeps a server busy a tenth of the time.
      await new Promise((done) => setTimeout(done, 9 * (performance.now() - since)));
      asking = false;
      if (dirty && !gone) { dirty = false; void read(); }
    };
    const listener: Listener = (topic) => { if (wanted.includes(topic)) void read(); };
    listeners.add(listener);
    again.current = () => void read();
    void read();
    return () => { gone = true; listeners.delete(listener); };
  }, [path, wanted]);
  const mine = found.path === path ? found : { path };
  return { data: mine.data as T | undefined, problem: mine.problem, again: () => again.current() };
}
