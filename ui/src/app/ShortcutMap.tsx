import { Button, Dialog, DialogActions, DialogBody, DialogContent, DialogSurface, DialogTitle, makeStyles, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";

const useStyles = makeStyles({
  list: { display: "grid", gridTemplateColumns: "1fr auto", gap: "8px 24px", margin: 0, alignItems: "center" },
  keys: { margin: 0, textAlign: "right" },
  key: {
    fontFamily: tokens.fontFamilyBase,
    fontSize: tokens.fontSizeBase200,
    padding: "2px 8px",
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    backgroundColor: tokens.colorNeutralBackground3,
  },
});

const entries = ["palette", "create", "filter", "reread", "run", "selectAll", "select", "range", "open", "close", "map"] as const;

export function ShortcutMap({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <Dialog open onOpenChange={(_, data) => !data.open && onClose()}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>{t("shortcuts.title")}</DialogTitle>
          <DialogContent>
            <dl className={styles.list}>
              {entries.flatMap((entry) => [
                <dt key={entry}>{t(`shortcuts.${entry}`)}</dt>,
                <dd key={`${entry}-key`} className={styles.keys}>
                  <kbd className={styles.key}>{t(`keys.${entry}`)}</kbd>
                </dd>,
              ])}
            </dl>
          </DialogContent>
          <DialogActions>
            <Button appearance="primary" onClick={onClose}>
              {t("common.close")}
            </Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  );
}
