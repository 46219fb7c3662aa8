import { expect, test } from "vitest";
import type { Job } from "../ipc";
import { applyJobList, applyJobs, noJobs, underWay } from "./jobs";

const job = (id: string, state: Job["state"]) => ({ id, state, endedAt: state === "completed" ? "2026-11-21T10:00:00Z" : null }) as Job;

test("what an event told wins over a list that was read before it", () => {
  const told = applyJobs(noJobs, [job("a", "completed")]);
  const jobs = applyJobList(told, [job("a", "running"), job("b", "running")]);
  expect(underWay(jobs).map(({ id }) => id)).toEqual(["b"]);
});
test("each telling counts, so that pages are read again", () => {
  expect(applyJobs(applyJobs(noJobs, []), [job("a", "running")]).told).toBe(2);
});
test("what is kept is bounded, and what is under way stays longest", () => {
  let jobs = applyJobs(noJobs, [job("first", "running")]);
  jobs = applyJobs(jobs, Array.from({ length: 3000 }, (_, index) => job(`job-${index}`, "completed")));
  expect(jobs.byId.size).toBe(1000);
  expect(underWay(jobs).map(({ id }) => id)).toEqual(["first"]);
});
