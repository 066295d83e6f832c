// Loads the editor when somebody looks at it: it is most of the console's weight.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { EditorProps } from "./editor";

let loaded: ComponentType<EditorProps> | null = null;

export function LazyEditor(props: EditorProps) {
  const [Editor, set] = useState(() => loaded);
  useEffect(() => {
    if (!loaded) void import("./editor").then((module) => { loaded = module.default; set(() => loaded); });
  }, []);
  return Editor ? <Editor {...props} /> : <pre class="text editor" aria-label={props.label}>{props.given.text}</pre>;
}
