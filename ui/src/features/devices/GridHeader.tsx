import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { ArrowDownRegular } from "@fluentui/react-icons/svg/arrow-down";
import { ArrowUpRegular } from "@fluentui/react-icons/svg/arrow-up";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { Column } from "./columns";
import type { AllState } from "./selection";
import type { Sort, SortKey } from "./view";

const useStyles = makeStyles({
  row: {
    display: "grid",
    alignItems: "center",
    height: "34px",
    flexShrink: 0,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
    color: tokens.colorNeutralForeground2,
    fontSize: tokens.fontSizeBase200,
    fontWeight: tokens.fontWeightSemibold,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  cell: { padding: "0 8px", minWidth: 0, display: "flex", alignItems: "center" },
  sort: {
    font: "inherit",
    color: "inherit",
    background: "none",
    border: "none",
    padding: "4px 6px",
    margin: "0 -6px",
    display: "inline-flex",
    gap: "4px",
    alignItems: "center",
    cursor: "pointer",
    borderRadius: tokens.borderRadiusMedium,
    ":hover": { backgroundColor: tokens.colorSubtleBackgroundHover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  check: { margin: 0, width: "16px", height: "16px", accentColor: tokens.colorCompoundBrandBackground, cursor: "pointer" },
});

type Props = {
  columns: Column[];
  template: string;
  sort: Sort;
  all: AllState;
  shown: number;
  onSort: (key: SortKey) => void;
  onAll: () => void;
};

export function GridHeader({ columns, template, sort, all, shown, onSort, onAll }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = all === "some";
  }, [all]);
  return (
    <div role="row" aria-rowindex={1} className={styles.row} style={{ gridTemplateColumns: template }}>
      {columns.map((column, index) => {
        const key = column.sort;
        const sorted = key !== undefined && sort.key === key;
        return (
          <div
            key={column.key}
            role="columnheader"
            aria-colindex={index + 1}
            aria-sort={sorted ? (sort.descending ? "descending" : "ascending") : undefined}
            className={mergeClasses(styles.cell)}
          >
            {column.key === "select" ? (
              <input
                ref={box}
                type="checkbox"
                className={styles.check}
                checked={all === "all"}
                onChange={onAll}
                aria-label={t("devices.selectAll", { count: shown })}
                title={t("devices.selectAll", { count: shown })}
                data-testid="select-all"
              />
            ) : key ? (
              <button type="button" className={styles.sort} onClick={() => onSort(key)}>
                {t(`devices.columns.${column.key}`)}
                {sorted ? sort.descending ? <ArrowDownRegular aria-hidden /> : <ArrowUpRegular aria-hidden /> : null}
              </button>
            ) : (
              t(`devices.columns.${column.key}`)
            )}
          </div>
        );
      })}
    </div>
  );
}
