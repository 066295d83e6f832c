// One box that goes anywhere: views, services, objects, proxies.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, keyOf } from "../lib/api";
import { go, objectUrl, proxyUrl, serviceUrl } from "../lib/router";
import { type Place, ranked } from "../lib/ranked";
import type { Manifest, ProxyList, ServiceSummary } from "../lib/types";
import { VIEWS } from "../views";
import { Dialog } from "./parts";

export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [loaded, setLoaded] = useState<Record<string, Place[]>>({});
  const [chosen, choose] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.focus(), []);
  useEffect(() => {
    const add = (what: string, more: Place[]) => setLoaded((before) => ({ ...before, [what]: more }));
    void ask<{ items: ServiceSummary[] }>("/v1/services").then(({ items }) =>
      add("services", items.map((each) => ({ name: each.name, kind: `routing in ${each.namespace}`, url: serviceUrl(each.namespace, each.host) }))));
    void ask<{ items: Manifest[] }>("/v1/objects?only=status").then(({ items }) => add("objects", items.map((each) => {
      const key = keyOf(each);
      return { name: key.name, kind: `${key.kind}${key.namespace && ` in ${key.namespace}`}`, url: objectUrl(key) };
    })));
    void ask<ProxyList>("/v1/proxies").then(({ proxies }) =>
      add("proxies", proxies.map((each) => ({ name: each.name, kind: `proxy in ${each.namespace}`, url: proxyUrl(each.node) }))));
  }, []);
  const found = useMemo(() => {
    const views = VIEWS.map((view) => ({ name: view.title, kind: "view", url: view.path }));
    const { services = [], objects = [], proxies = [] } = loaded;
    return ranked([...views, ...services, ...proxies, ...objects], text).slice(0, 50);
  }, [loaded, text]);
  const at = Math.min(chosen, found.length - 1);
  useEffect(() => { list.current?.children[at]?.scrollIntoView({ block: "nearest" }); }, [at]);
  const open = (place: Place | undefined) => { if (place) { onClose(); go(place.url); } };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); choose(Math.max(0, Math.min(found.length - 1, at + step))); }
    if (event.key === "Enter") { event.preventDefault(); open(found[at]); }
  };
  return (
    <Dialog title="Go to" onClose={onClose} kind="palette">
      <input ref={box} type="text" placeholder="Go to a service, object, proxy or view" value={text}
        role="combobox" aria-label="Go to" aria-expanded="true" aria-controls="places"
        aria-activedescendant={found[at] ? `place-${at}` : undefined}
        onInput={(event) => { setText(event.currentTarget.value); choose(0); }} onKeyDown={onKey} />
      <ul id="places" role="listbox" aria-label="Places" ref={list}>
        {found.map((place, index) => (
          <li id={`place-${index}`} role="option" aria-selected={index === at} onClick={() => open(place)}
            onMouseMove={() => choose(index)}><span>{place.name}</span><span class="k">{place.kind}</span></li>
        ))}
        {!found.length && <li class="soft">Nothing is called that.</li>}
      </ul>
    </Dialog>
  );
}
