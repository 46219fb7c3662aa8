import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tokens } from "@fluentui/react-components";
import { tags } from "@lezer/highlight";

/** The colours of JSON and TOML, from the theme's own tokens so that they follow light, dark and high contrast. */
export const jsonColours = {
  key: tokens.colorBrandForeground1,
  string: tokens.colorPaletteGreenForeground1,
  number: tokens.colorPaletteBerryForeground1,
  word: tokens.colorPaletteBerryForeground1,
  mark: tokens.colorNeutralForeground3,
};

const look = EditorView.theme({
  "&": { color: tokens.colorNeutralForeground1, backgroundColor: "transparent", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: tokens.fontFamilyMonospace, lineHeight: "1.5" },
  ".cm-content": { caretColor: tokens.colorNeutralForeground1, padding: "6px 0" },
  ".cm-cursor": { borderLeftColor: tokens.colorNeutralForeground1 },
  ".cm-gutters": {
    backgroundColor: "transparent",
    color: tokens.colorNeutralForeground4,
    border: "none",
  },
  ".cm-matchingBracket": { backgroundColor: tokens.colorNeutralBackground1Pressed, outline: "none" },
  "&:not(.cm-focused) .cm-matchingBracket": { backgroundColor: "transparent" },
  ".cm-tooltip": {
    backgroundColor: tokens.colorNeutralBackground1,
    color: tokens.colorNeutralForeground1,
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusMedium,
    boxShadow: tokens.shadow8,
    fontFamily: tokens.fontFamilyBase,
  },
  ".cm-lintRange-error": { textDecoration: `underline wavy ${tokens.colorPaletteRedForeground1}`, textUnderlineOffset: "3px", backgroundImage: "none" },
  ".cm-diagnostic-error": { borderLeftColor: tokens.colorPaletteRedBorderActive },
});

const highlight = HighlightStyle.define([
  { tag: tags.propertyName, color: jsonColours.key },
  { tag: tags.string, color: jsonColours.string },
  { tag: tags.number, color: jsonColours.number },
  { tag: [tags.bool, tags.null, tags.atom], color: jsonColours.word },
  { tag: tags.comment, color: jsonColours.mark, fontStyle: "italic" },
  { tag: [tags.separator, tags.bracket, tags.squareBracket, tags.brace], color: jsonColours.mark },
]);

export const editorTheme = [look, syntaxHighlighting(highlight)];
