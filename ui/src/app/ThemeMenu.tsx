import { Button, Menu, MenuItemRadio, MenuList, MenuPopover, MenuTrigger, Tooltip } from "@fluentui/react-components";
import { DarkThemeRegular } from "@fluentui/react-icons/svg/dark-theme";
import { useTranslation } from "react-i18next";
import type { Theme } from "../ipc";
import { setTheme, useStore } from "../store/store";

const themes: Theme[] = ["system", "light", "dark", "highContrast"];

export function ThemeMenu() {
  const { t } = useTranslation();
  const theme = useStore((model) => model.app?.settings.theme ?? "system");
  return (
    <Menu
      checkedValues={{ theme: [theme] }}
      onCheckedValueChange={(_, data) => void setTheme((data.checkedItems[0] as Theme | undefined) ?? "system")}
    >
      <MenuTrigger disableButtonEnhancement>
        <Tooltip content={t("theme.title")} relationship="label">
          <Button appearance="subtle" icon={<DarkThemeRegular />} data-testid="theme-menu" data-theme={theme} />
        </Tooltip>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          {themes.map((value) => (
            <MenuItemRadio key={value} name="theme" value={value} data-testid={`theme-${value}`}>
              {t(`theme.${value}`)}
            </MenuItemRadio>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}
