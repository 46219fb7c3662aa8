import { useEffect, useState } from "react";
import { useSearchParams } from "react-router";
import { type Filters, readFilters, writeFilters } from "./filters";

const PAUSE = 250;

/**
 * Filters that the address knows, too. They are ahead of it while somebody types: an address that
 * comes back late must not take back what was typed since. Any other address is somebody's wish.
 */
export function useFilters(): [Filters, (change: Partial<Filters>) => void] {
  const [params, setParams] = useSearchParams();
  const address = params.toString();
  const [seen, setSeen] = useState(address);
  const [written, setWritten] = useState(address);
  const [filters, setFilters] = useState(() => readFilters(params));
  if (address !== seen) {
    setSeen(address);
    if (address !== written) setFilters(readFilters(params));
  }
  const wanted = writeFilters(filters).toString();
  useEffect(() => {
    if (wanted === seen) return;
    const timer = setTimeout(() => {
      setWritten(wanted);
      setParams(wanted, { replace: true });
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [wanted, seen, setParams]);
  return [filters, (change) => setFilters((now) => ({ ...now, ...change }))];
}
