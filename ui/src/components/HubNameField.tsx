import { Field, Input } from "@fluentui/react-components";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useActiveHub } from "../store/store";

/** A production hub has to be named before much happens to it; `named` is true for every other hub. */
export function useHubName() {
  const hub = useActiveHub()?.hub;
  const [typed, setTyped] = useState("");
  const asked = hub?.production === true;
  return { asked, named: !asked || typed === hub.alias, alias: hub?.alias ?? "", typed, setTyped };
}

export function HubNameField({ name }: { name: ReturnType<typeof useHubName> }) {
  const { t } = useTranslation();
  if (!name.asked) return null;
  return (
    <Field label={t("hubs.typeName", { alias: name.alias })} required>
      <Input value={name.typed} onChange={(_, data) => name.setTyped(data.value)} data-testid="confirm-name" />
    </Field>
  );
}
