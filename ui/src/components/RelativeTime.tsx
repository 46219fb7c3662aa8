import { useTranslation } from "react-i18next";
import { formatAbsolute, formatAgo, isNever } from "../lib/format";
import { useNow } from "../lib/use-now";

/** "3 min ago", with the exact time on hover. */
export function RelativeTime({ time, never }: { time: string | null; never?: string }) {
  const { t } = useTranslation();
  const now = useNow(5000);
  if (time === null || isNever(time)) return <span>{never ?? t("common.never")}</span>;
  return (
    <time dateTime={time} title={formatAbsolute(time)}>
      {formatAgo(time, now)}
    </time>
  );
}
