// What is wrong now, each a link to its cause.
import { causeText, causeUrl } from "../lib/causes";
import type { Trouble } from "../lib/types";
import { Icon } from "./icons";

// The worst come first; where so much is wrong, more lines help nobody.
const SHOWN = 40;

export function TroubleList({ of }: { of: readonly Trouble[] }) {
  return <>
    <ul>{of.slice(0, SHOWN).map((each) => <li><TroubleRow of={each} /></li>)}</ul>
    {of.length > SHOWN && <p class="empty">{of.length - SHOWN} more: <code>clew status</code> lists them all.</p>}
  </>;
}

function TroubleRow({ of }: { of: Trouble }) {
  const tone = of.severity === "error" ? "bad" : "warn";
  return (
    <a class="row" href={causeUrl(of)}>
      <span class={`icon ${tone}`}><Icon name={tone} /></span>
      <span class="grow"><span class="sr">{of.severity}: </span>{of.problem}{of.hint && <div class="hint">{of.hint}</div>}
        <div class="hint mono">{causeText(of)}</div></span>
      <span class="chev"><Icon name="chevron" /></span>
    </a>
  );
}
