import { Badge } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import type { SimulatedState } from "../ipc";

const colours = { stopped: "subtle", connecting: "informative", connected: "brand", waiting: "warning", refused: "danger" } as const;

export function SimulatedBadge({ state }: { state: SimulatedState }) {
  const { t } = useTranslation();
  return (
    <Badge appearance="tint" color={colours[state]} size="medium" shape="rounded">
      {t(`simulated.${state}`)}
    </Badge>
  );
}
