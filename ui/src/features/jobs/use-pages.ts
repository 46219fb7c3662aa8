import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { PAGE, Pages, type Read } from "./pages";

/** Pages of what `read` reads; a new `read` begins anew. `news` that changes makes what is in sight be read again. */
export function usePages<P>(read: Read<P>, news: unknown) {
  const [pages, setPages] = useState(() => new Pages(read));
  if (pages.read !== read) setPages(new Pages(read, pages.get()));
  const snapshot = useSyncExternalStore(pages.subscribe, pages.get);
  const heard = useRef(news);
  useEffect(() => {
    if (heard.current === news) return;
    heard.current = news;
    pages.renew();
  }, [pages, news]);
  return { ...snapshot, show: pages.show, look: pages.look };
}

/** The row at a place of the whole list, once its page is here. */
export const rowIn = <P, R>(pages: ReadonlyMap<number, P>, rows: (page: P) => R[], index: number): R | undefined => {
  const page = pages.get(Math.floor(index / PAGE));
  return page === undefined ? undefined : rows(page)[index % PAGE];
};
