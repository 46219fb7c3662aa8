import {
  Button,
  makeStyles,
  Menu,
  MenuDivider,
  MenuGroup,
  MenuGroupHeader,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
} from "@fluentui/react-components";
import { ChevronDownRegular } from "@fluentui/react-icons/svg/chevron-down";
import { DeleteRegular } from "@fluentui/react-icons/svg/delete";
import { PlugDisconnectedRegular } from "@fluentui/react-icons/svg/plug-disconnected";
import { AddRegular } from "@fluentui/react-icons/svg/add";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ForgetHubDialog } from "../components/ForgetHubDialog";
import { HubSwatch, ProductionMark } from "../components/HubMark";
import type { SavedHub } from "../ipc";
import { closeHub, openHub, useActiveHub, useStore } from "../store/store";

const useStyles = makeStyles({
  button: { minWidth: 0, maxWidth: "280px" },
  name: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  item: { display: "inline-flex", gap: "8px", alignItems: "center" },
});

const none: SavedHub[] = [];

export function HubSwitcher() {
  const styles = useStyles();
  const { t } = useTranslation();
  const navigate = useNavigate();
  const active = useActiveHub();
  const hubs = useStore((model) => model.app?.hubs ?? none);
  const [forgetting, setForgetting] = useState<SavedHub | null>(null);
  // What goes wrong while opening is part of the hub's own state, which the device list shows.
  const quietly = (work: Promise<unknown>) => void work.catch(() => undefined);
  return (
    <>
      <Menu>
        <MenuTrigger disableButtonEnhancement>
          <Button
            appearance="subtle"
            className={styles.button}
            icon={active ? <HubSwatch colour={active.hub.colour} /> : undefined}
            aria-label={active ? t("hubs.switcherOpen", { alias: active.hub.alias }) : t("hubs.switcherNone")}
            data-testid="hub-switcher"
          >
            <span className={styles.name}>{active ? active.hub.alias : t("hubs.none")}</span>
            <ChevronDownRegular />
          </Button>
        </MenuTrigger>
        <MenuPopover>
          <MenuList>
            {hubs.length > 0 ? (
              <MenuGroup>
                <MenuGroupHeader>{t("hubs.saved")}</MenuGroupHeader>
                {hubs.map((hub) => (
                  <MenuItem
                    key={hub.id}
                    icon={<HubSwatch colour={hub.colour} />}
                    secondaryContent={hub.id === active?.hub.id ? t("hubs.open") : undefined}
                    onClick={() => quietly(openHub(hub.id))}
                  >
                    <span className={styles.item}>
                      {hub.alias}
                      {hub.production ? <ProductionMark /> : null}
                    </span>
                  </MenuItem>
                ))}
              </MenuGroup>
            ) : null}
            {hubs.length > 0 ? <MenuDivider /> : null}
            <MenuItem icon={<AddRegular />} onClick={() => void navigate("/welcome")}>
              {t("hubs.connect")}
            </MenuItem>
            {active ? (
              <MenuItem icon={<PlugDisconnectedRegular />} onClick={() => quietly(closeHub())} data-testid="close-hub">
                {t("hubs.close")}
              </MenuItem>
            ) : null}
            {active && active.hub.kind === "remote" ? (
              <MenuItem icon={<DeleteRegular />} onClick={() => setForgetting(active.hub)}>
                {t("hubs.forgetThis", { alias: active.hub.alias })}
              </MenuItem>
            ) : null}
          </MenuList>
        </MenuPopover>
      </Menu>
      {active?.hub.production ? <ProductionMark /> : null}
      {forgetting ? <ForgetHubDialog hub={forgetting} onClose={() => setForgetting(null)} /> : null}
    </>
  );
}
