import { Combobox, Field, Option } from "@fluentui/react-components";
import { useState } from "react";
import { useStore } from "../../store/store";

/** Ids offered at once; typing finds the others. */
const OFFERED = 50;

type Props = { label: string; hint: string; value: string; onPick: (id: string) => void; testId: string };

/** Any id can be typed. Devices are offered while the local hub is the one that is open. */
export function DevicePicker({ label, hint, value, onPick, testId }: Props) {
  const ids = useStore((model) => (model.app?.active?.hub.kind === "local" ? model.devices.ids : NONE));
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? value;
  const wanted = (typed ?? "").trim().toLowerCase();
  const offered: string[] = [];
  for (const id of ids) {
    if (offered.length === OFFERED) break;
    if (id.toLowerCase().includes(wanted)) offered.push(id);
  }
  const pick = (id: string) => {
    setTyped(null);
    if (id !== "" && id !== value) onPick(id);
  };
  return (
    <Field label={label}>
      <Combobox
        freeform
        value={text}
        placeholder={hint}
        selectedOptions={value === "" ? [] : [value]}
        spellCheck={false}
        onChange={(event) => setTyped(event.target.value)}
        onOptionSelect={(_, data) => pick((data.optionValue ?? text).trim())}
        onKeyDown={(event) => {
          if (event.key === "Enter" && typed !== null) pick(typed.trim());
        }}
        data-testid={testId}
      >
        {offered.map((id) => (
          <Option key={id} value={id}>
            {id}
          </Option>
        ))}
      </Combobox>
    </Field>
  );
}

const NONE: string[] = [];
