import type { JsonValue, TwinSection, TwinView } from "../../ipc";
import { toAppError } from "../../ipc";
import { deepEqual } from "../../lib/json-patch";
import { readTwin, updateTwin } from "../../store/store";

/** Writes of other sections that may come in between before this is given up. */
const TRIES = 3;

/**
 * Sends the patch. When the twin has moved on and the section is still what the patch was made
 * for, the patch is as right as it was, and is sent again. Otherwise the newest twin has been read
 * when this says that somebody was faster.
 */
export async function applyPatchTo(twin: TwinView, section: TwinSection, patch: JsonValue, base: JsonValue): Promise<"applied" | "conflict"> {
  let { etag } = twin;
  for (let tried = 1; ; tried += 1) {
    try {
      await updateTwin(twin.deviceId, section, patch, etag);
      return "applied";
    } catch (thrown) {
      if (toAppError(thrown).code !== "PreconditionFailed") throw thrown;
      const newest = await readTwin(twin.deviceId);
      if (!deepEqual(newest[section], base)) return "conflict";
      if (tried === TRIES) throw thrown;
      etag = newest.etag;
    }
  }
}
