import { Button, MessageBar, MessageBarActions, MessageBarBody, MessageBarTitle } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { AppError } from "../ipc";
import { copyText } from "../lib/clipboard";

type Props = {
  error: AppError | null;
  /** What could not be done, e.g. "The devices could not be deleted". */
  what?: string;
  onRetry?: () => void;
  onDismiss?: () => void;
};

export const errorDetails = (error: AppError): string =>
  [error.code, error.message, error.hint, error.details].filter(Boolean).join("\n");

/** What failed, what to do, and the details for whoever is asked for help. */
export function ErrorBar({ error, what, onRetry, onDismiss }: Props) {
  const { t } = useTranslation();
  const bar = useRef<HTMLDivElement>(null);
  // In a small window it may stand below the edge, where nobody would see why nothing happens.
  useEffect(() => {
    bar.current?.scrollIntoView({ block: "nearest" });
  }, [error]);
  if (!error) return null;
  return (
    <MessageBar ref={bar} intent="error" layout="multiline" politeness="assertive" data-testid="error" data-code={error.code}>
      <MessageBarBody>
        {what ? <MessageBarTitle>{what}</MessageBarTitle> : null}
        {error.message} {error.hint}
      </MessageBarBody>
      <MessageBarActions
        containerAction={
          onDismiss ? (
            <Button appearance="transparent" size="small" icon={<DismissRegular />} aria-label={t("common.dismiss")} onClick={onDismiss} />
          ) : undefined
        }
      >
        {onRetry ? (
          <Button size="small" onClick={onRetry}>
            {t("common.retry")}
          </Button>
        ) : null}
        <Button size="small" appearance="transparent" onClick={() => void copyText(errorDetails(error))}>
          {t("common.copyDetails")}
        </Button>
      </MessageBarActions>
    </MessageBar>
  );
}
