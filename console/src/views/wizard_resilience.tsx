import { useEffect, useState } from "preact/hooks";
import { type Resilience, resilienceOf, withResilience } from "../lib/edits";
import type { TaskProps } from "./wizard";

const FIELDS: readonly [keyof Resilience, string, string][] = [
  ["timeout", "Timeout of a request (empty: none)", "2s"],
  ["attempts", "Retries (empty: 2, 0: none)", "3"],
  ["perTry", "Timeout of each try", "500ms"],
  ["on", "Try again on", "5xx,connect-failure,reset"],
];

export function Resiliences({ rule, index, propose }: TaskProps) {
  const [values, setValues] = useState(() => resilienceOf(rule.spec.http?.[index]));
  const [touched, setTouched] = useState(false);
  useEffect(() => { if (touched) propose([withResilience(rule, index, values)]); }, [values, touched]);
  return (
    <div class="grid">{FIELDS.map(([name, label, placeholder]) => (
      <label class="field">{label}<input type="text" inputMode={name === "attempts" ? "numeric" : "text"} value={values[name]} placeholder={placeholder}
        onInput={(event) => { setTouched(true); setValues({ ...values, [name]: event.currentTarget.value.trim() }); }} /></label>
    ))}</div>
  );
}
