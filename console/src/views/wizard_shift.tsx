import { useEffect, useState } from "preact/hooks";
import { rebalanced, type Share, withShares, withSubsets } from "../lib/edits";
import { missingVersions, sharesOf } from "../lib/targets";
import type { ServiceView } from "../lib/types";
import { shortHost } from "../lib/words";
import { Empty, useEntered } from "../ui/parts";
import type { TaskProps } from "./wizard";

export function Shift({ service, rule, index, destinationRule, propose }: TaskProps) {
  const [shares, setShares] = useState(() => sharesOf(service, rule, index));
  const [touched, setTouched] = useState(false);
  const { summary } = service;
  useEffect(() => {
    if (!touched) return;
    const used = shares.filter((each) => each.weight > 0).map((each) => each.subset);
    const missing = missingVersions(service, used);
    const subsets = missing.length ? [withSubsets(destinationRule, summary.name, summary.namespace, shortHost(summary.host), missing)] : [];
    propose([...subsets, withShares(rule, index, shares)]);
  }, [shares, touched]);
  const set = (weights: number[]) => { setTouched(true); setShares(shares.map((share, place) => ({ ...share, weight: weights[place]! }))); };
  const move = (place: number, to: number) => set(rebalanced(shares.map((each) => each.weight), place, to));
  if (shares.length < 2) return <Empty>The service has one version only: there is nothing to shift between. Start another one, with another label <code>version</code>.</Empty>;
  return (
    <div>
      <div class="share" aria-hidden="true">{shares.map((share, place) => <i class={`c${place % 5}`} style={{ width: `${share.weight}%` }} />)}</div>
      {shares.map((share, place) => {
        const name = nameOf(service, share);
        return (
          <div class="slider">
            <span class="who"><span class={`dot c${place % 5}`} aria-hidden="true" /><b class="wrap">{name}</b></span>
            <input type="range" min="0" max="100" step="1" value={share.weight} aria-label={`Share of ${name}`} aria-valuetext={`${share.weight} percent`}
              onInput={(event) => move(place, Number(event.currentTarget.value))} />
            <span class="pct"><Percent of={name} value={share.weight} onValue={(value) => move(place, value)} /> %</span>
          </div>
        );
      })}
      <div class="actions" style={{ marginTop: "8px" }}>{shares.map((share, place) => (
        <button class="btn small" type="button" onClick={() => set(shares.map((_, other) => (other === place ? 100 : 0)))}>All to {nameOf(service, share)}</button>
      ))}</div>
    </div>
  );
}

function nameOf(service: ServiceView, share: Share): string {
  const own = share.host === service.summary.host || share.host === shortHost(service.summary.host);
  return share.subset ? (own ? share.subset : `${shortHost(share.host)} ${share.subset}`) : shortHost(share.host);
}

function Percent({ of, value, onValue }: { of: string; value: number; onValue: (value: number) => void }) {
  const entered = useEntered(String(value), (text) => onValue(Number(text)));
  return <input type="number" min="0" max="100" aria-label={`Percent of ${of}`} {...entered} />;
}
