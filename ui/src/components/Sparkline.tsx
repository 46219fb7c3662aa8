import { makeStyles, tokens } from "@fluentui/react-components";

const WIDTH = 120;
const HEIGHT = 20;
const POINTS = 59;

const useStyles = makeStyles({ root: { color: tokens.colorBrandForeground1, width: "100%", height: "20px", display: "block" } });

/** The last minute, newest at the right. Its numbers stand beside it in words. */
export function Sparkline({ values }: { values: number[] }) {
  const styles = useStyles();
  const most = Math.max(1, ...values);
  const x = (index: number) => WIDTH - (values.length - 1 - index) * (WIDTH / (POINTS - 1));
  const y = (value: number) => HEIGHT - 1 - (value / most) * (HEIGHT - 3);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className={styles.root} aria-hidden>
      <polyline points={points} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
