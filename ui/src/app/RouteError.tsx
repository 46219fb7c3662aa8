import { useTranslation } from "react-i18next";
import { useNavigate, useRouteError } from "react-router";
import { ErrorState } from "../components/ErrorState";
import { toAppError } from "../ipc";

export function RouteError() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  return <ErrorState error={toAppError(useRouteError())} what={t("errors.screen")} onRetry={() => void navigate("/")} />;
}
