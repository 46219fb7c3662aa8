import { teamsHighContrastTheme, type Theme as FluentTheme, webDarkTheme, webLightTheme } from "@fluentui/react-components";
import type { Theme } from "../ipc";
import { useMedia } from "../lib/use-media";

export function useFluentTheme(theme: Theme): { theme: FluentTheme; dark: boolean } {
  const prefersDark = useMedia("(prefers-color-scheme: dark)");
  const forced = useMedia("(forced-colors: active)");
  if (theme === "highContrast" || (theme === "system" && forced)) return { theme: teamsHighContrastTheme, dark: true };
  const dark = theme === "dark" || (theme === "system" && prefersDark);
  return dark ? { theme: webDarkTheme, dark } : { theme: webLightTheme, dark };
}
