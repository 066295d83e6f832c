import { useEffect, useState } from "preact/hooks";
import { type Condition, withFirstRoute, withSubsets } from "../lib/edits";
import { missingVersions, sharesOf } from "../lib/targets";
import { shortHost } from "../lib/words";
import { Icon } from "../ui/icons";
import type { TaskProps } from "./wizard";

const ONE: Condition = { on: "header", how: "exact", name: "", value: "" };

export function Routing({ service, rule, index, destinationRule, propose }: TaskProps) {
  const targets = sharesOf(service, rule, index);
  const [conditions, setConditions] = useState<Condition[]>([ONE]);
  const [target, setTarget] = useState(0);
  const { summary } = service;
  useEffect(() => {
    const whole = conditions.some(({ on, name, value }) => value && (on === "path" || on === "method" || name));
    const to = targets[target];
    if (!whole || !to) { propose([]); return; }
    const missing = missingVersions(service, [to.subset]);
    const subsets = missing.length ? [withSubsets(destinationRule, summary.name, summary.namespace, shortHost(summary.host), missing)] : [];
    propose([...subsets, withFirstRoute(rule, conditions, to)]);
  }, [conditions, target]);
  const change = (place: number, change: Partial<Condition>) =>
    setConditions(conditions.map((each, other) => (other === place ? { ...each, ...change } : each)));
  return (
    <div class="stack">
      {conditions.map((each, place) => (
        <div class="grid" role="group" aria-label={`Condition ${place + 1}`}>
          <label class="field">{place ? "and" : "If the"}<select value={each.on} onChange={(event) => change(place, { on: event.currentTarget.value as Condition["on"] })}>
            <option value="header">header</option><option value="path">path</option><option value="method">method</option><option value="query">query parameter</option></select></label>
          {(each.on === "header" || each.on === "query") && <label class="field">named<input type="text" value={each.name} placeholder={each.on === "header" ? "end-user" : "version"}
            onInput={(event) => change(place, { name: event.currentTarget.value })} /></label>}
          <label class="field">compares<select value={each.how} onChange={(event) => change(place, { how: event.currentTarget.value as Condition["how"] })}>
            <option value="exact">is</option><option value="prefix">starts with</option><option value="regex">matches the expression</option></select></label>
          <label class="field">value<input type="text" value={each.value} placeholder={{ header: "jason", path: "/api", method: "POST", query: "2" }[each.on]}
            onInput={(event) => change(place, { value: event.currentTarget.value })} /></label>
        </div>
      ))}
      <div class="actions">
        <button class="btn small" type="button" onClick={() => setConditions([...conditions, ONE])}><Icon name="plus" size={13} />And another condition</button>
        {conditions.length > 1 && <button class="btn small quiet" type="button" onClick={() => setConditions(conditions.slice(0, -1))}>Take the last one away</button>}
      </div>
      <label class="field" style={{ maxWidth: "340px" }}>then send it to<select value={target} onChange={(event) => setTarget(Number(event.currentTarget.value))}>
        {targets.map((each, place) => <option value={place}>{shortHost(each.host)}{each.subset && ` ${each.subset}`}</option>)}</select></label>
    </div>
  );
}
