import { Button, Dropdown, Input, makeStyles, mergeClasses, Option, SearchBox, Text, tokens, Tooltip } from "@fluentui/react-components";
import { FilterDismissRegular } from "@fluentui/react-icons/svg/filter-dismiss";
import { useTranslation } from "react-i18next";
import type { JobRunner, JobStateCount } from "../../ipc";
import { formatNumber } from "../../lib/format";
import { kinds } from "./draft";
import { dayStart, type Filters, isFiltered, ranges, states } from "./filters";
import { StateIcon } from "./states";

const useStyles = makeStyles({
  root: { display: "flex", flexDirection: "column", gap: "8px", padding: "0 20px 8px" },
  row: { display: "flex", flexWrap: "wrap", gap: "8px", alignItems: "center" },
  text: { flexGrow: 1, flexBasis: "140px", maxWidth: "240px" },
  menu: { minWidth: "120px", width: "136px" },
  device: { width: "130px" },
  day: { width: "124px" },
  state: {
    display: "inline-flex",
    alignItems: "center",
    gap: "6px",
    height: "28px",
    padding: "0 10px",
    font: "inherit",
    fontSize: tokens.fontSizeBase200,
    color: tokens.colorNeutralForeground1,
    backgroundColor: tokens.colorNeutralBackground1,
    border: `1px solid ${tokens.colorNeutralStroke1}`,
    borderRadius: tokens.borderRadiusCircular,
    cursor: "pointer",
    ":hover": { backgroundColor: tokens.colorNeutralBackground1Hover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  chosen: { backgroundColor: tokens.colorBrandBackground2, border: `1px solid ${tokens.colorBrandStroke1}`, boxShadow: `inset 0 0 0 1px ${tokens.colorBrandStroke1}` },
  none: { color: tokens.colorNeutralForeground3 },
});

const ANY = "any";

type Props = { filters: Filters; counts: JobStateCount[]; onChange: (change: Partial<Filters>) => void; onClear: () => void };

export function JobFilters({ filters, counts, onChange, onClear }: Props) {
  const styles = useStyles();
  const { t } = useTranslation();
  const choice = <T extends string>(name: "kind" | "runner" | "range", list: readonly T[], text: (value: T) => string) => {
    const value = filters[name] as T | null;
    return (
      <Dropdown
        size="small"
        className={styles.menu}
        aria-label={t(`jobs.filter.${name}`)}
        value={value === null ? t(`jobs.filter.any.${name}`) : text(value)}
        selectedOptions={[value ?? ANY]}
        data-testid={`job-filter-${name}`}
        onOptionSelect={(_, data) => onChange({ [name]: data.optionValue === ANY ? null : (data.optionValue as T) })}
      >
        {[
          <Option key={ANY} value={ANY}>
            {t(`jobs.filter.any.${name}`)}
          </Option>,
          ...list.map((one) => (
            <Option key={one} value={one} data-testid={`job-filter-${name}-${one}`}>
              {text(one)}
            </Option>
          )),
        ]}
      </Dropdown>
    );
  };
  const day = (name: "from" | "until") => (
    <Input
      size="small"
      className={styles.day}
      aria-label={t(`jobs.filter.${name}`)}
      placeholder={t("jobs.filter.day")}
      value={filters[name]}
      aria-invalid={filters[name] !== "" && dayStart(filters[name]) === null}
      contentBefore={<Text size={200}>{t(`jobs.filter.${name}`)}</Text>}
      onChange={(_, data) => onChange({ [name]: data.value })}
    />
  );
  return (
    <div className={styles.root} role="search" aria-label={t("jobs.filter.title")}>
      <div className={styles.row}>
        <SearchBox
          size="small"
          className={styles.text}
          placeholder={t("jobs.filter.text")}
          aria-label={t("jobs.filter.text")}
          value={filters.text}
          data-shortcut="filter"
          data-testid="job-filter-text"
          onChange={(_, data) => onChange({ text: data.value })}
        />
        {choice("kind", kinds, (kind) => t(`jobs.kinds.${kind}`))}
        {choice("runner", ["hub", "here"] satisfies JobRunner[], (runner) => t(`jobs.runners.${runner}`))}
        <Input
          size="small"
          className={styles.device}
          aria-label={t("jobs.filter.device")}
          placeholder={t("jobs.filter.device")}
          value={filters.device}
          spellCheck={false}
          data-testid="job-filter-device"
          onChange={(_, data) => onChange({ device: data.value })}
        />
        {choice("range", ranges, (range) => t(`jobs.filter.ranges.${range}`))}
        {filters.range === "between" ? (
          <>
            {day("from")}
            {day("until")}
          </>
        ) : null}
        {isFiltered(filters) ? (
          <Tooltip content={t("jobs.filter.clear")} relationship="label">
            <Button size="small" appearance="subtle" icon={<FilterDismissRegular />} onClick={onClear} data-testid="job-filter-clear" />
          </Tooltip>
        ) : null}
      </div>
      <div className={styles.row} role="group" aria-label={t("jobs.filter.state")}>
        {states.map((state) => {
          const count = counts.find((entry) => entry.state === state)?.count ?? 0;
          const isChosen = filters.state === state;
          // A state without jobs is only in the way, but for the one that is chosen.
          if (count === 0 && !isChosen) return null;
          return (
            <button
              key={state}
              type="button"
              aria-pressed={isChosen}
              className={mergeClasses(styles.state, isChosen && styles.chosen)}
              data-testid="job-state-filter"
              data-state={state}
              data-count={count}
              onClick={() => onChange({ state: isChosen ? null : state })}
            >
              <StateIcon state={state} />
              {t(`jobs.states.${state}`)}
              <Text size={200} weight="semibold" className={mergeClasses(count === 0 && styles.none)}>
                {formatNumber(count)}
              </Text>
            </button>
          );
        })}
      </div>
    </div>
  );
}
