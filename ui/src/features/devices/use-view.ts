import { useEffect, useMemo, useState } from "react";
import { useStore } from "../../store/store";
import { buildView, countMoved, type Sort, type SortKey, sortValue } from "./view";

const LOOK_AGAIN = 1000;

/** The order holds still while values change under it; `moved` says how many would stand elsewhere. */
export function useView(filter: string) {
  const ids = useStore((model) => model.devices.ids);
  const [sort, setSort] = useState<Sort>({ key: "id", descending: false });
  const [again, setAgain] = useState(0);
  const sorted = useMemo(() => {
    const rows = useStore.getState().devices.rows;
    const view = buildView(ids, rows, filter, sort);
    const values = new Map(sort.key === "id" ? [] : view.map((id) => [id, sortValue(rows.get(id), sort.key)]));
    return { view, values, again };
  }, [ids, filter, sort, again]);

  const [moved, setMoved] = useState(0);
  useEffect(() => {
    if (sort.key === "id") return;
    const look = () => setMoved(countMoved(sorted.view, sorted.values, useStore.getState().devices.rows, sort.key));
    const timer = setInterval(look, LOOK_AGAIN);
    return () => {
      clearInterval(timer);
      setMoved(0);
    };
  }, [sorted, sort.key]);

  return {
    view: sorted.view,
    sort,
    moved,
    sortAgain: () => setAgain((count) => count + 1),
    onSort: (key: SortKey) => setSort((now) => ({ key, descending: now.key === key && !now.descending })),
  };
}
