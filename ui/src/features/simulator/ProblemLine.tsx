import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { ErrorCircleRegular } from "@fluentui/react-icons/svg/error-circle";
import { useTranslation } from "react-i18next";
import type { SourceProblem } from "../../ipc";

const useStyles = makeStyles({
  root: { display: "flex", gap: "6px", alignItems: "flex-start", color: tokens.colorPaletteRedForeground1, minHeight: "20px" },
  icon: { fontSize: "16px", flexShrink: 0, marginTop: "2px" },
  text: { overflowWrap: "anywhere", whiteSpace: "pre-wrap" },
});

/** What is wrong with a file, and where, in words: the mark in the editor says it too. */
export function ProblemLine({ problem, testId }: { problem: SourceProblem | null; testId: string }) {
  const styles = useStyles();
  const { t } = useTranslation();
  return (
    <div className={styles.root} role="status" data-testid={testId} data-line={problem?.line ?? ""}>
      {problem ? (
        <>
          <ErrorCircleRegular className={styles.icon} aria-hidden />
          <Text size={200} className={styles.text}>
            {problem.line === null
              ? problem.message
              : t("models.at", { line: problem.line, column: problem.column ?? 1, message: problem.message })}
          </Text>
        </>
      ) : null}
    </div>
  );
}
