import { Button, Input, makeStyles, Select, Tooltip } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons/svg/dismiss";
import { useTranslation } from "react-i18next";
import type { TagKind, TagPattern } from "../../ipc";

const tagKinds: TagKind[] = ["cycle", "same", "numbered", "weighted"];

const useStyles = makeStyles({
  root: { display: "grid", gridTemplateColumns: "minmax(72px, 1fr) auto minmax(96px, 2fr) auto", gap: "6px", width: "100%" },
  field: { minWidth: 0 },
});

type Props = { tag: TagPattern; onChange: (tag: TagPattern) => void; onRemove: () => void };

/** A tag by pattern, such as site and ring. */
export function TagRow({ tag, onChange, onRemove }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <div className={styles.root} role="group" aria-label={t("simulator.tagOf", { name: tag.name })}>
      <Input
        size="small"
        className={styles.field}
        value={tag.name}
        placeholder={t("simulator.tagName")}
        aria-label={t("simulator.tagName")}
        onChange={(_, data) => onChange({ ...tag, name: data.value })}
        data-testid="tag-name"
      />
      <Select
        size="small"
        value={tag.kind}
        aria-label={t("simulator.tagKind")}
        onChange={(_, data) => onChange({ ...tag, kind: tagKinds.find((kind) => kind === data.value) ?? "cycle" })}
      >
        {tagKinds.map((kind) => (
          <option key={kind} value={kind}>
            {t(`simulator.tagKinds.${kind}`)}
          </option>
        ))}
      </Select>
      <Input
        size="small"
        className={styles.field}
        value={tag.text}
        placeholder={t(`simulator.tagTexts.${tag.kind}`)}
        aria-label={t("simulator.tagValue")}
        onChange={(_, data) => onChange({ ...tag, text: data.value })}
        data-testid="tag-text"
      />
      <Tooltip content={t("simulator.removeTag")} relationship="label">
        <Button size="small" appearance="subtle" icon={<DismissRegular />} onClick={onRemove} />
      </Tooltip>
    </div>
  );
}
