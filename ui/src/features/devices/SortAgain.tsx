import { Button, makeStyles, tokens } from "@fluentui/react-components";
import { ArrowSyncRegular } from "@fluentui/react-icons/svg/arrow-sync";
import { useTranslation } from "react-i18next";

const useStyles = makeStyles({
  pill: { position: "absolute", bottom: "16px", right: "32px", boxShadow: tokens.shadow16, zIndex: 1 },
});

export function SortAgain({ count, onClick }: { count: number; onClick: () => void }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <Button className={styles.pill} shape="circular" appearance="primary" size="small" icon={<ArrowSyncRegular />} onClick={onClick}>
      {t("devices.sortAgain", { count })}
    </Button>
  );
}
