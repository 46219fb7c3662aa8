import { Badge } from "@fluentui/react-components";
import { ArrowSyncRegular } from "@fluentui/react-icons/svg/arrow-sync";
import { CheckmarkCircleRegular } from "@fluentui/react-icons/svg/checkmark-circle";
import { ProhibitedRegular } from "@fluentui/react-icons/svg/prohibited";
import { StopRegular } from "@fluentui/react-icons/svg/stop";
import { WarningRegular } from "@fluentui/react-icons/svg/warning";
import { useTranslation } from "react-i18next";
import type { UpdateState } from "../../ipc";

const looks = {
  running: { icon: <ArrowSyncRegular />, color: "brand" },
  cancelling: { icon: <StopRegular />, color: "warning" },
  completed: { icon: <CheckmarkCircleRegular />, color: "success" },
  completedWithFailures: { icon: <WarningRegular />, color: "danger" },
  cancelled: { icon: <ProhibitedRegular />, color: "informative" },
  interrupted: { icon: <WarningRegular />, color: "warning" },
} as const;

export function UpdateStateBadge({ state, testId }: { state: UpdateState; testId?: string }) {
  const { t } = useTranslation();
  return (
    <Badge appearance="tint" shape="rounded" size="large" color={looks[state].color} icon={looks[state].icon} data-testid={testId} data-state={state}>
      {t(`updates.states.${state}`)}
    </Badge>
  );
}
