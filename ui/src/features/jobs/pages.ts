import { type AppError, toAppError } from "../../ipc";

export const PAGE = 100;
/** Between two looks at pages that are in sight. */
const LOOK_AGAIN = 1000;
/** Whoever flings a long list past does not want every page of it. */
const REST = 80;

export type Read<P> = (offset: number, limit: number) => Promise<P>;
export type Snapshot<P> = {
  pages: ReadonlyMap<number, P>;
  /** The page that was read last: it knows the sums. */
  newest: P | null;
  error: AppError | null;
};

const nothing = { pages: new Map<number, never>(), newest: null, error: null };

/**
 * A long list, of which the pages in sight are read. News make them be read again, at most once
 * a second however fast news come; pages out of sight are forgotten then.
 */
export class Pages<P> {
  private snapshot: Snapshot<P>;
  private readonly listeners = new Set<() => void>();
  /** Pages under way; true when something changed meanwhile. */
  private readonly reading = new Map<number, boolean>();
  private sight: number[] = [0];
  private lastLook = -Infinity;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private rest: ReturnType<typeof setTimeout> | null = null;
  private isOpen = false;
  private isOld: boolean;

  /** `before` is shown until the first page of these is here. */
  constructor(
    readonly read: Read<P>,
    before: Snapshot<P> | null = null,
  ) {
    this.snapshot = before ? { ...before, error: null } : nothing;
    this.isOld = before !== null;
  }

  readonly get = (): Snapshot<P> => this.snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (!this.isOpen) {
      this.isOpen = true;
      this.look();
    }
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.isOpen = false;
      if (this.timer !== null) clearTimeout(this.timer);
      if (this.rest !== null) clearTimeout(this.rest);
      this.timer = this.rest = null;
    };
  };

  /** The rows that are in sight. */
  readonly show = (first: number, last: number): void => {
    const pages: number[] = [];
    for (let page = Math.floor(Math.max(0, first) / PAGE); page <= Math.floor(Math.max(0, last) / PAGE); page += 1) pages.push(page);
    this.sight = pages;
    if (!this.isOpen || this.isOld || this.rest !== null) return;
    this.rest = setTimeout(() => {
      this.rest = null;
      for (const page of this.sight) if (!this.snapshot.pages.has(page) && !this.reading.has(page)) void this.fetch(page);
    }, REST);
  };

  /** Something has changed. */
  renew(now = Date.now()): void {
    if (!this.isOpen || this.timer !== null) return;
    const wait = this.lastLook + LOOK_AGAIN - now;
    if (wait <= 0) {
      this.look();
      return;
    }
    this.timer = setTimeout(() => {
      this.timer = null;
      this.look();
    }, wait);
  }

  /** Reads what is in sight. */
  readonly look = (): void => {
    this.lastLook = Date.now();
    for (const page of this.sight) void this.fetch(page);
  };

  private async fetch(page: number): Promise<void> {
    if (this.reading.has(page)) {
      this.reading.set(page, true);
      return;
    }
    this.reading.set(page, false);
    try {
      const read = await this.read(page * PAGE, PAGE);
      const kept = this.isOld ? [] : [...this.snapshot.pages].filter(([known]) => this.sight.includes(known));
      this.isOld = false;
      this.put({ pages: new Map([...kept, [page, read]]), newest: read, error: null });
    } catch (thrown) {
      this.put({ ...this.snapshot, error: toAppError(thrown) });
    } finally {
      const isStale = this.reading.get(page) === true;
      this.reading.delete(page);
      if (isStale) this.renew();
    }
  }

  private put(snapshot: Snapshot<P>): void {
    this.snapshot = snapshot;
    for (const tell of this.listeners) tell();
  }
}
