import { Badge, makeStyles, tokens } from "@fluentui/react-components";
import { ShieldRegular } from "@fluentui/react-icons/svg/shield";
import { useTranslation } from "react-i18next";

const useStyles = makeStyles({
  swatch: { display: "inline-block", width: "10px", height: "10px", borderRadius: "3px", flexShrink: 0, outline: `1px solid ${tokens.colorNeutralStrokeAlpha}` },
});

export function HubSwatch({ colour }: { colour: string }) {
  const styles = useStyles();
  return <span className={styles.swatch} style={{ backgroundColor: colour || tokens.colorBrandBackground }} aria-hidden />;
}

export function ProductionMark() {
  const { t } = useTranslation();
  return (
    <Badge appearance="tint" color="danger" shape="rounded" icon={<ShieldRegular />}>
      {t("hubs.production")}
    </Badge>
  );
}
