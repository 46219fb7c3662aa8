import { Button, Dropdown, Field, Input, makeStyles, Option, Radio, RadioGroup, Text, tokens } from "@fluentui/react-components";
import { useTranslation } from "react-i18next";
import { useNow } from "../../lib/use-now";
import { changeDraft, type Draft } from "./draft";
import { clockText, nextHour, readStart, soon, wallText, zoneHere } from "./times";

const useStyles = makeStyles({
  row: { display: "flex", gap: "8px 12px", flexWrap: "wrap", alignItems: "flex-start" },
  offers: { display: "flex", gap: "6px", flexWrap: "wrap" },
  time: { width: "190px" },
  zone: { minWidth: "150px", width: "230px" },
  minutes: { width: "170px" },
  input: { minWidth: 0, width: "100%" },
  quiet: { color: tokens.colorNeutralForeground2 },
  later: { display: "flex", flexDirection: "column", gap: "8px", paddingLeft: "32px" },
});

type Props = { draft: Draft; told: string | undefined; minutesTold: string | undefined };

/** Now, or at a time that is written here or in UTC and shown in both. */
export function WhenForm({ draft, told, minutesTold }: Props) {
  const styles = useStyles();
  const { t, i18n } = useTranslation();
  const now = useNow(1000);
  const here = zoneHere();
  const zone = draft.utc ? "UTC" : here;
  const start = readStart(draft.startAt, zone, now);
  const offer = (ms: number) => changeDraft({ later: true, startAt: wallText(ms, zone) });
  const both = (ms: number) =>
    t(start.ok && start.twice ? "jobs.when.twice" : "jobs.when.both", {
      zone: here,
      here: clockText(ms, here, now, i18n.language),
      utc: clockText(ms, "UTC", now, i18n.language),
    });
  return (
    <>
      <RadioGroup
        value={draft.later ? "later" : "now"}
        aria-label={t("jobs.when.title")}
        onChange={(_, data) => {
          const later = data.value === "later";
          changeDraft({ later, ...(later && draft.startAt === "" ? { startAt: wallText(soon(now, 60), zone) } : {}) });
        }}
      >
        <Radio value="now" label={t("jobs.when.now")} data-testid="job-now" />
        <Radio value="later" label={t("jobs.when.later")} data-testid="job-later" />
      </RadioGroup>
      {draft.later ? (
        <div className={styles.later}>
          <div className={styles.row}>
            <Field className={styles.time} label={t("jobs.when.time")} validationMessage={told}>
              <Input
                className={styles.input}
                value={draft.startAt}
                placeholder={t("jobs.when.form")}
                spellCheck={false}
                data-testid="job-start-at"
                onChange={(_, data) => changeDraft({ startAt: data.value })}
              />
            </Field>
            <Field className={styles.zone} label={t("jobs.when.zone")}>
              <Dropdown
                className={styles.input}
                value={draft.utc ? t("jobs.when.utc") : t("jobs.when.here", { zone: here })}
                selectedOptions={[draft.utc ? "utc" : "here"]}
                data-testid="job-zone"
                onOptionSelect={(_, data) => {
                  const utc = data.optionValue === "utc";
                  // The moment stays; only how it is written changes.
                  changeDraft({ utc, ...(start.ok ? { startAt: wallText(start.ms, utc ? "UTC" : here) } : {}) });
                }}
              >
                <Option value="here" text={t("jobs.when.here", { zone: here })}>
                  {t("jobs.when.here", { zone: here })}
                </Option>
                <Option value="utc" data-testid="job-zone-utc">
                  {t("jobs.when.utc")}
                </Option>
              </Dropdown>
            </Field>
          </div>
          <div className={styles.offers} role="group" aria-label={t("jobs.when.offers")}>
            {([15, 60] as const).map((minutes) => (
              <Button key={minutes} size="small" onClick={() => offer(soon(now, minutes))}>
                {t(`jobs.when.in.${minutes}`)}
              </Button>
            ))}
            {([22, 6] as const).map((hour) => (
              <Button key={hour} size="small" onClick={() => offer(nextHour(now, here, hour))}>
                {t(`jobs.when.next.${hour}`)}
              </Button>
            ))}
          </div>
          <Text size={200} className={styles.quiet} role="status" data-testid="job-start-both">
            {start.ok ? both(start.ms) : t("jobs.when.limit")}
          </Text>
        </div>
      ) : null}
      <Field className={styles.minutes} label={t("jobs.when.minutes")} validationMessage={minutesTold}>
        <Input
          className={styles.input}
          type="number"
          min={1}
          value={draft.minutes}
          contentAfter={t("jobs.when.unit")}
          data-testid="job-minutes"
          onChange={(_, data) => changeDraft({ minutes: data.value })}
        />
      </Field>
      <Text size={200} className={styles.quiet}>
        {t("jobs.when.minutesHint")}
      </Text>
    </>
  );
}
