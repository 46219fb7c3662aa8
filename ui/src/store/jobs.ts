import type { Job } from "../ipc";

/** Jobs as events last told them, the newest news last; lists read their pages from the backend. */
export type Jobs = {
  byId: ReadonlyMap<string, Job>;
  /** Counts up with the news: whoever shows a page of jobs reads it again. */
  told: number;
};

const KEPT = 1000;

export const noJobs: Jobs = { byId: new Map(), told: 0 };

export const isUnderWay = (job: Job): boolean => job.state === "running" || job.state === "enqueued";
export const hasEnded = (job: Job): boolean => job.endedAt !== null || ["completed", "failed", "cancelled"].includes(job.state);

/** What has ended is forgotten first: what is under way is counted in the frame. */
function trimmed(byId: Map<string, Job>): Map<string, Job> {
  let over = byId.size - KEPT;
  for (const job of over > 0 ? byId.values() : []) {
    if (isUnderWay(job)) continue;
    byId.delete(job.id);
    over -= 1;
    if (over <= 0) break;
  }
  return byId;
}

export function applyJobs({ byId, told }: Jobs, jobs: Job[]): Jobs {
  const next = new Map(byId);
  for (const job of jobs) {
    next.delete(job.id);
    next.set(job.id, job);
  }
  return { byId: trimmed(next), told: told + 1 };
}

/** Of a list that was read; what an event has told since is newer. */
export function applyJobList({ byId, told }: Jobs, jobs: Job[]): Jobs {
  return { byId: trimmed(new Map([...jobs.map((job) => [job.id, job] as const), ...byId])), told };
}

export const underWay = ({ byId }: Jobs): Job[] => [...byId.values()].filter(isUnderWay);
