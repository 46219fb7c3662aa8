import { StreamLanguage } from "@codemirror/language";
import { toml } from "@codemirror/legacy-modes/mode/toml";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import type { Text } from "@codemirror/state";
import type { EditorView } from "@codemirror/view";
import { useEffect, useRef } from "react";
import type { SourceProblem } from "../ipc";
import { CodeEditor, type EditorProps } from "./CodeEditor";

const language = StreamLanguage.define(toml);

/** Where a problem is marked: its word, or its line; what is of the whole text at its beginning. */
function diagnostic(document: Text, { line, column, message }: SourceProblem): Diagnostic {
  const at = document.line(Math.max(1, Math.min(document.lines, line ?? 1)));
  const from = Math.min(at.to, at.from + Math.max(0, (column ?? 1) - 1));
  const word = /^[\w.-]+/.exec(document.sliceString(from, at.to))?.[0].length ?? 0;
  return { from, to: column === null ? at.to : Math.min(at.to, from + Math.max(1, word)), severity: "error", message };
}

type Props = EditorProps & {
  /** What the backend found wrong with this very text. */
  problem: SourceProblem | null;
  readOnly?: boolean;
};

export function TomlEditor({ problem, ...props }: Props) {
  const view = useRef<EditorView>(null);
  useEffect(() => {
    const editor = view.current;
    editor?.dispatch(setDiagnostics(editor.state, problem ? [diagnostic(editor.state.doc, problem)] : []));
  }, [problem, props.readOnly]);
  return <CodeEditor {...props} numbered language={language} viewRef={view} />;
}
