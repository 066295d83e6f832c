// One chart: lines over time, the changes of configuration marked where they happened.
import { useState } from "preact/hooks";
import { areaPath, clustered, type Line, linePath, type Mark, roundTop } from "../lib/chart";

export function Chart({ title, unit, times, lines, marks, area = false, format }: {
  title: string; unit: string; times: readonly number[]; lines: readonly Line[]; marks: readonly Mark[]; area?: boolean;
  format: (value: number) => string;
}) {
  const [at, setAt] = useState<number>();
  const first = times[0] ?? 0, last = times.at(-1) ?? 0;
  const top = roundTop(lines.flatMap((line) => line.values));
  const shown = at ?? times.length - 1;
  const value = (line: Line) => line.values[shown] ?? null;
  const said = lines.map((line) => `${line.name} ${value(line) === null ? "nothing" : format(value(line)!)}`).join(", ");
  const clock = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: at === undefined ? undefined : "2-digit" });
  return (
    <figure class="chart">
      <figcaption><b>{title}</b> <span class="faint">{unit}</span>
        <ul class="legend">{lines.map((line) => <li><i class={line.tone} />{line.name && <span class="soft">{line.name}</span>}
          <span class="num">{value(line) === null ? "–" : format(value(line)!)}</span></li>)}</ul></figcaption>
      <div class="plot" role="img" aria-label={`${title}: ${said}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          setAt(Math.max(0, Math.min(times.length - 1, Math.round(((event.clientX - box.left) / box.width) * (times.length - 1)))));
        }} onPointerLeave={() => setAt(undefined)}>
        <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
          {area && lines[0] && <path class={`fill ${lines[0].tone}`} d={areaPath(lines[0].values, top)} />}
          {lines.map((line) => <path class={`stroke ${line.tone}`} d={linePath(line.values, top)} />)}
          {at !== undefined && <path class="cursor" d={`M${(100 * at) / Math.max(1, times.length - 1)} 0V100`} />}
        </svg>
        <span class="high num" aria-hidden="true">{format(top)}</span>
        {clustered(marks, first, last).map(({ place, marks: here }) => (
          <a class="mark" style={{ left: `${place}%` }} href={here.at(-1)!.url} title={here.map((mark) => mark.text).join("\n")}
            aria-label={`Change: ${here.map((mark) => mark.text).join("; ")}`} />
        ))}
      </div>
      <div class="axis num" aria-hidden="true"><span>{first ? clock(first) : ""}</span><span>{at === undefined ? "" : clock(times[at]!)}</span><span>{last ? clock(last) : ""}</span></div>
    </figure>
  );
}
