import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json, jsonParseLinter } from "@codemirror/lang-json";
import { bracketMatching, indentOnInput, indentUnit } from "@codemirror/language";
import { type Diagnostic, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { useEffect, useRef } from "react";
import { editorTheme } from "./editor-theme";

const useStyles = makeStyles({
  root: {
    display: "flex",
    flexDirection: "column",
    minHeight: 0,
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    overflow: "hidden",
    backgroundColor: tokens.colorNeutralBackground1,
    ":focus-within": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-1px" },
    "& .cm-editor": { flexGrow: 1, minHeight: 0 },
  },
});

type Props = {
  value: string;
  onChange: (text: string) => void;
  label: string;
  testId?: string;
  className?: string;
  /** An empty text is fine, as for a method without a payload. */
  mayBeEmpty?: boolean;
  numbered?: boolean;
  onSubmit?: () => void;
};

const parseLinter = jsonParseLinter();

const lintJson = (mayBeEmpty: boolean) => (view: EditorView): Diagnostic[] =>
  mayBeEmpty && view.state.doc.toString().trim() === "" ? [] : parseLinter(view);

export function JsonEditor({ value, onChange, label, testId, className, mayBeEmpty = false, numbered = false, onSubmit }: Props) {
  const styles = useStyles();
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef({ value, onChange, onSubmit });
  useEffect(() => {
    latest.current = { value, onChange, onSubmit };
  });

  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          Prec.highest(
            keymap.of([
              {
                key: "Mod-Enter",
                run: () => {
                  latest.current.onSubmit?.();
                  return true;
                },
              },
              // Tab indents only after Esc has not been asked to leave: CodeMirror's own escape hatch.
              ...(numbered ? [indentWithTab] : []),
            ]),
          ),
          keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          history(),
          json(),
          indentUnit.of("  "),
          indentOnInput(),
          bracketMatching(),
          linter(lintJson(mayBeEmpty), { delay: 200 }),
          ...(numbered ? [lineNumbers(), lintGutter()] : []),
          editorTheme,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      view.current = null;
      editor.destroy();
    };
  }, [label, mayBeEmpty, numbered]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={host} className={mergeClasses(styles.root, className)} data-testid={testId} />;
}
