import { Component, type ReactNode } from "react";
import { ErrorState } from "../components/ErrorState";
import { toAppError } from "../ipc";
import i18n from "../lib/i18n";

type State = { thrown: unknown; failed: boolean };

/** A screen that breaks says so and can be opened again; the rest of the window goes on. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { thrown: null, failed: false };

  static getDerivedStateFromError(thrown: unknown): State {
    return { thrown, failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <ErrorState
        error={toAppError(this.state.thrown)}
        what={i18n.t("errors.screen")}
        onRetry={() => this.setState({ thrown: null, failed: false })}
      />
    );
  }
}
