import { useEffect, useState } from "react";
import { type AppError, ipc, type JobPreview, type JobRunner, type JobTarget, type JobWork, toAppError } from "../../ipc";

const PAUSE = 300;

/** Where a problem of a preview belongs. */
export type Place = "work" | "target" | "runner";
export type Preview = { preview: JobPreview; place: Place | null };

/** Work that is never wrong: what fails with it is the target's. */
const harmless: JobWork = { kind: "enable" };

/** A preview's problem has no place; asking again with a part changed tells which part it is about. */
export async function look(work: JobWork | null, target: JobTarget, runner: JobRunner): Promise<Preview> {
  const preview = await ipc.previewJob(work ?? harmless, target, work ? runner : "here");
  if (!preview.problem) return { preview, place: null };
  if (!work) return { preview, place: "target" };
  const plain = await ipc.previewJob(harmless, target, "here");
  if (plain.problem) return { preview, place: "target" };
  if (runner === "hub" && !(await ipc.previewJob(work, target, "here")).problem) return { preview, place: "runner" };
  return { preview, place: "work" };
}

/**
 * What the job would do, a moment after the typing stops. `work` is null while it is not all
 * there: then only the devices are counted. The last answer stays until the next is here;
 * `isFresh` says whether it is of what is asked now. `news` makes it be asked again.
 */
export function usePreview(work: JobWork | null, target: JobTarget | null, runner: JobRunner, news: unknown) {
  const asked = target === null ? null : JSON.stringify([work, target, runner]);
  const [answer, setAnswer] = useState<{ asked: string; result: Preview } | null>(null);
  const [failure, setFailure] = useState<{ asked: string; error: AppError } | null>(null);
  const [again, setAgain] = useState(0);
  useEffect(() => {
    if (asked === null) return;
    const [work, target, runner] = JSON.parse(asked) as [JobWork | null, JobTarget, JobRunner];
    let current = true;
    const timer = setTimeout(() => {
      look(work, target, runner).then(
        (result) => {
          if (!current) return;
          setAnswer({ asked, result });
          setFailure(null);
        },
        (thrown: unknown) => current && setFailure({ asked, error: toAppError(thrown) }),
      );
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [asked, news, again]);
  return {
    ...(answer && asked !== null ? answer.result : { preview: null, place: null }),
    isFresh: asked !== null && answer?.asked === asked,
    error: failure?.asked === asked ? failure.error : null,
    retry: () => setAgain((count) => count + 1),
  };
}
