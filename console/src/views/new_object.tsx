// A new object of any kind, begun with the little that its kind asks for.
import { useMemo } from "preact/hooks";
import { useLive } from "../lib/live";
import { go, objectUrl, setQuery } from "../lib/router";
import { TEMPLATES } from "../lib/templates";
import type { KindItem } from "../lib/types";
import { toYaml } from "../lib/yaml";
import type { ViewProps } from "../views";
import { Head, ProblemNotice, Twin } from "../ui/parts";
import { Workbench } from "../ui/workbench";

export function NewObject({ url }: ViewProps) {
  const { data, problem } = useLive<{ items: KindItem[] }>("/v1/kinds", []);
  const [group = "", kind = "VirtualService"] = split(url.searchParams.get("kind") ?? "");
  const kinds = (data?.items ?? []).filter((each) => each.standing);
  const chosen = kinds.find((each) => each.kind === kind && (!group || each.group === group)) ?? kinds[0];
  const text = useMemo(() => chosen ? toYaml({
    apiVersion: chosen.apiVersion, kind: chosen.kind,
    metadata: { name: "my-" + chosen.kind.toLowerCase(), ...(chosen.namespaced ? { namespace: "default" } : {}) },
    spec: TEMPLATES[chosen.kind] ?? {},
  }) : "", [chosen]);
  return (
    <>
      <Head title="New object" actions={<label class="field">Kind
        <select value={chosen && `${chosen.group}/${chosen.kind}`} onChange={(event) => setQuery({ kind: event.currentTarget.value })}>
          {kinds.map((each) => <option value={`${each.group}/${each.kind}`}>{each.kind}{each.group === "gateway.networking.k8s.io" ? " (Gateway API)" : ""}</option>)}
        </select></label>} />
      {problem && <ProblemNotice problem={problem} />}
      {chosen && <Workbench key={chosen.group + chosen.kind} before={null} text={text} namespace="default"
        side={<p class="soft">Change the text to what you need. The mesh says at once what it thinks of it.</p>}
        onApplied={([key]) => key && go(objectUrl(key))} />}
      <Twin path="/v1/kinds" command="clew apply -f FILE --dry-run server -o json" />
    </>
  );
}

function split(text: string): string[] {
  return text.includes("/") ? text.split("/") : text ? ["", text] : [];
}
