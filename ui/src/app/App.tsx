import { FluentProvider } from "@fluentui/react-components";
import { useEffect } from "react";
import { RouterProvider } from "react-router/dom";
import { useStore } from "../store/store";
import { ErrorBoundary } from "./ErrorBoundary";
import { router } from "./routes";
import { useFluentTheme } from "./theme";

export function App() {
  const chosen = useStore((model) => model.app?.settings.theme ?? "system");
  const { theme, dark } = useFluentTheme(chosen);
  useEffect(() => {
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  }, [dark]);
  return (
    <FluentProvider theme={theme}>
      <ErrorBoundary>
        <RouterProvider router={router} />
      </ErrorBoundary>
    </FluentProvider>
  );
}
