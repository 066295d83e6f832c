// Loads the graph when somebody looks at it.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Head } from "../ui/parts";
import type { ViewProps } from "../views";

let loaded: ComponentType<ViewProps> | null = null;

export function Graph(props: ViewProps) {
  const [View, set] = useState(() => loaded);
  useEffect(() => {
    if (!loaded) void import("./graph_view").then((module) => { loaded = module.GraphView; set(() => loaded); });
  }, []);
  return View ? <View {...props} /> : <Head title="Graph" />;
}
