import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  makeStyles,
  mergeClasses,
  Spinner,
} from "@fluentui/react-components";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { AppError } from "../ipc";
import { ErrorBar } from "./ErrorBar";

const useStyles = makeStyles({
  content: { display: "flex", flexDirection: "column", gap: "14px", padding: "8px 12px 8px 0", marginRight: "-12px" },
  button: { whiteSpace: "nowrap" },
  danger: {
    backgroundColor: "var(--colorStatusDangerBackground3)",
    color: "var(--colorNeutralForegroundOnBrand)",
    ":hover": { backgroundColor: "var(--colorStatusDangerBackground3Hover)", color: "var(--colorNeutralForegroundOnBrand)" },
  },
});

type Props = {
  title: string;
  submit: string;
  submitTestId?: string;
  /** On the button that does nothing, where "Cancel" would be taken for the deed itself. */
  keep?: string;
  canSubmit?: boolean;
  danger?: boolean;
  running?: boolean;
  error?: AppError | null;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
};

/** A question with one answer button; Enter answers, Esc closes. */
export function FormDialog({ title, submit, submitTestId, keep, canSubmit = true, danger, running, error, onSubmit, onClose, children }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <Dialog open onOpenChange={(_, data) => !data.open && onClose()}>
      <DialogSurface>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (canSubmit && !running) onSubmit();
          }}
        >
          <DialogBody>
            <DialogTitle>{title}</DialogTitle>
            <DialogContent className={styles.content}>
              {children}
              <ErrorBar error={error ?? null} />
            </DialogContent>
            <DialogActions>
              <Button onClick={onClose}>{keep ?? t("common.cancel")}</Button>
              <Button
                type="submit"
                appearance="primary"
                className={mergeClasses(styles.button, danger && canSubmit && !running && styles.danger)}
                disabled={!canSubmit || running}
                icon={running ? <Spinner size="tiny" /> : undefined}
                data-testid={submitTestId}
              >
                {submit}
              </Button>
            </DialogActions>
          </DialogBody>
        </form>
      </DialogSurface>
    </Dialog>
  );
}
