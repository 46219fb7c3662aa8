import { json, jsonParseLinter } from "@codemirror/lang-json";
import { type Diagnostic, linter } from "@codemirror/lint";
import type { EditorView } from "@codemirror/view";
import { CodeEditor, type EditorProps } from "./CodeEditor";

const parseLinter = jsonParseLinter();

const lintJson = (mayBeEmpty: boolean) => (view: EditorView): Diagnostic[] =>
  mayBeEmpty && view.state.doc.toString().trim() === "" ? [] : parseLinter(view);

const language = (mayBeEmpty: boolean) => [json(), linter(lintJson(mayBeEmpty), { delay: 200 })];
const strict = language(false);
const lenient = language(true);

/** `mayBeEmpty`: an empty text is fine, as for a method without a payload. */
export function JsonEditor({ mayBeEmpty = false, ...props }: EditorProps & { mayBeEmpty?: boolean }) {
  return <CodeEditor {...props} language={mayBeEmpty ? lenient : strict} />;
}
