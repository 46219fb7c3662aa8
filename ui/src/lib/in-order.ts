/** One after the other: a watch that ends must not overtake the one that follows it. */
export function makeQueue() {
  let last: Promise<unknown> = Promise.resolve();
  return function inOrder<T>(work: () => Promise<T>): Promise<T> {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}
