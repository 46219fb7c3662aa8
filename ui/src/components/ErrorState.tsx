import { Button } from "@fluentui/react-components";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { useTranslation } from "react-i18next";
import type { AppError } from "../ipc";
import { copyText } from "../lib/clipboard";
import { errorDetails } from "./ErrorBar";
import { StatePanel } from "./StatePanel";

export function ErrorState({ error, what, onRetry }: { error: AppError; what: string; onRetry?: () => void }) {
  const { t } = useTranslation();
  return (
    <StatePanel
      alert
      icon={<ErrorCircleRegular />}
      title={what}
      text={
        <>
          {error.message} {error.hint}
        </>
      }
    >
      {onRetry ? (
        <Button appearance="primary" onClick={onRetry}>
          {t("common.retry")}
        </Button>
      ) : null}
      <Button onClick={() => void copyText(errorDetails(error))}>{t("common.copyDetails")}</Button>
    </StatePanel>
  );
}
