import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit } from "@codemirror/language";
import { lintGutter, lintKeymap } from "@codemirror/lint";
import { EditorState, type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { type RefObject, useEffect, useRef } from "react";
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
  fixed: { backgroundColor: tokens.colorNeutralBackground2 },
});

export type EditorProps = {
  value: string;
  onChange: (text: string) => void;
  label: string;
  testId?: string;
  className?: string;
  numbered?: boolean;
  onSubmit?: () => void;
};

type Props = EditorProps & {
  /** The language and what checks it; a new value makes a new editor. */
  language: Extension;
  readOnly?: boolean;
  viewRef?: RefObject<EditorView | null>;
};

/** CodeMirror in the theme's colours. Ctrl+Enter submits; Esc, then Tab, leaves. */
export function CodeEditor({ value, onChange, label, testId, className, numbered = false, onSubmit, language, readOnly = false, viewRef }: Props) {
  const styles = useStyles();
  const host = useRef<HTMLDivElement>(null);
  const own = useRef<EditorView>(null);
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
              ...(numbered && !readOnly ? [indentWithTab] : []),
            ]),
          ),
          keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          history(),
          language,
          indentUnit.of("  "),
          indentOnInput(),
          bracketMatching(),
          ...(numbered ? [lineNumbers(), lintGutter()] : []),
          editorTheme,
          EditorView.lineWrapping,
          EditorState.readOnly.of(readOnly),
          EditorView.contentAttributes.of({ "aria-label": label, ...(readOnly ? { "aria-readonly": "true" } : {}) }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    own.current = editor;
    if (viewRef) viewRef.current = editor;
    return () => {
      own.current = null;
      if (viewRef) viewRef.current = null;
      editor.destroy();
    };
  }, [label, numbered, language, readOnly, viewRef]);

  useEffect(() => {
    const editor = own.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={host} className={mergeClasses(styles.root, readOnly && styles.fixed, className)} data-testid={testId} />;
}
