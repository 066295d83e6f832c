import { useEffect, useState } from "preact/hooks";
import { type Fault, faultOf, withFault } from "../lib/edits";
import type { TaskProps } from "./wizard";

export function Faults({ rule, index, propose }: TaskProps) {
  const [fault, setFault] = useState(() => faultOf(rule.spec.http?.[index]));
  const [touched, setTouched] = useState(false);
  useEffect(() => { if (touched) propose([withFault(rule, index, fault)]); }, [fault, touched]);
  const set = (change: Partial<Fault>) => { setTouched(true); setFault({ ...fault, ...change }); };
  return (
    <div class="stack">
      <fieldset><legend>Delay</legend>
        <div class="grid">
          <Amount label="Share of the requests, %" value={fault.delayShare} max={100} step={1} onValue={(delayShare) => set({ delayShare })} />
          <Amount label="Seconds (0: no delay)" value={fault.delay} max={3600} step={0.1} onValue={(delay) => set({ delay })} />
        </div></fieldset>
      <fieldset><legend>Abort</legend>
        <div class="grid">
          <Amount label="Share of the requests, %" value={fault.abortShare} max={100} step={1} onValue={(abortShare) => set({ abortShare })} />
          <Amount label="HTTP status (0: no abort)" value={fault.abort} max={599} step={1} onValue={(abort) => set({ abort })} />
        </div></fieldset>
      <div class="actions"><button class="btn small" type="button" onClick={() => set({ delay: 0, abort: 0 })}>No faults</button></div>
    </div>
  );
}

function Amount({ label, value, max, step, onValue }: { label: string; value: number; max: number; step: number; onValue: (value: number) => void }) {
  return <label class="field">{label}<input type="number" min="0" max={max} step={step} value={value}
    onInput={(event) => { const number = event.currentTarget.valueAsNumber; if (!Number.isNaN(number)) onValue(number); }} /></label>;
}
