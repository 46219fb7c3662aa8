import type { ReactNode } from "react";
import { useTask } from "../lib/use-task";
import { FormDialog } from "./FormDialog";

type Props = {
  title: string;
  submit: string;
  submitTestId: string;
  canSubmit?: boolean;
  work: () => Promise<unknown>;
  onClose: () => void;
  /** After it was done and the dialog closed. */
  onDone?: () => void;
  children: ReactNode;
};

/** Asks before something is taken away, and stays open with the reason when that fails. */
export function ConfirmDialog({ title, submit, submitTestId, canSubmit = true, work, onClose, onDone, children }: Props) {
  const { running, error, run } = useTask();
  return (
    <FormDialog
      title={title}
      submit={submit}
      submitTestId={submitTestId}
      danger
      canSubmit={canSubmit}
      running={running}
      error={error}
      onClose={onClose}
      onSubmit={() =>
        void run(async () => {
          await work();
          onClose();
          onDone?.();
        })
      }
    >
      {children}
    </FormDialog>
  );
}
