// The YAML editor: diagnostics of the server at their lines, fields of our models to complete.
// It lives in a shadow root, because there it can bring its styles under a strict policy.
import { autocompletion, closeBrackets, completionKeymap, type CompletionContext } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";
import { optionsAt, type Schema, spotAt } from "../lib/complete";
import type { Finding } from "../lib/types";
import { isError } from "../lib/words";

export interface EditorProps {
  /** What is in it; another object replaces all that was typed. */
  given: { text: string };
  onText?: (text: string) => void;
  findings?: readonly Finding[];
  schema?: Schema;
  known?: Record<string, string[]>;
  /** Goes to a line whenever it is another object. */
  at?: { line: number };
  label: string;
}

const THEME = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--panel)", fontSize: "13px", maxHeight: "72vh" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", overflow: "auto" },
  ".cm-content": { padding: "10px 0", caretColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--faint)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--sunken) 60%, transparent)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection": { backgroundColor: "var(--accent-bg)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "8px", overflow: "hidden", boxShadow: "0 8px 30px rgb(0 0 0 / 20%)" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "18em" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 10px" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-bg)", color: "var(--accent)" },
  ".cm-completionDetail": { color: "var(--faint)", fontStyle: "normal" },
  ".cm-completionInfo": { padding: "8px 12px", maxWidth: "320px", fontFamily: "var(--sans)" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", padding: "6px 10px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn)", textUnderlineOffset: "3px" },
});

const COLOURS = HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: "var(--info)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--accent)" },
  { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--faint)" },
]);

export default function Editor(props: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: "open" });
    const editable = new Compartment();
    const complete = (context: CompletionContext) => {
      const { schema, known } = latest.current;
      if (!schema) return null;
      const spot = spotAt(context.state.doc.toString(), context.pos);
      if (!spot.word && !context.explicit && spot.value === null) return null;
      const options = optionsAt(schema, spot, known);
      return { from: context.pos - spot.word.length, options: options.map((each) => ({ ...each, type: "property" })), validFor: /^[\w.-]*$/ };
    };
    view.current = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: latest.current.given.text,
        extensions: [
          lineNumbers(), history(), indentOnInput(), closeBrackets(), highlightActiveLine(), lintGutter(),
          yaml(), syntaxHighlighting(COLOURS), THEME, autocompletion({ override: [complete] }),
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorView.contentAttributes.of({ "aria-label": latest.current.label, spellcheck: "false", tabindex: "0" }),
          editable.of([EditorView.editable.of(!!latest.current.onText), EditorState.readOnly.of(!latest.current.onText)]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onText?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    return () => view.current?.destroy();
  }, []);
  useEffect(() => {
    const editor = view.current!;
    if (editor.state.doc.toString() !== props.given.text) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: props.given.text } });
    }
  }, [props.given]);
  useEffect(() => {
    const editor = view.current!, { doc } = editor.state;
    const diagnostics = (props.findings ?? []).filter((each) => each.line && each.line <= doc.lines).map((each) => {
      const line = doc.line(each.line);
      const from = Math.min(line.to, line.from + Math.max(0, each.column - 1));
      return { from, to: line.to, severity: isError(each) ? "error" as const : "warning" as const, message: each.hint ? `${each.problem}\n${each.hint}` : each.problem };
    });
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [props.findings]);
  useEffect(() => {
    const editor = view.current!, line = props.at?.line;
    if (!line || line > editor.state.doc.lines) return;
    const at = editor.state.doc.line(line);
    editor.dispatch({ selection: { anchor: at.from + (/^[\s-]*/.exec(at.text)?.[0].length ?? 0) }, effects: EditorView.scrollIntoView(at.from, { y: "center" }) });
    editor.focus();
  }, [props.at]);
  return <div ref={host} class="editor" />;
}
