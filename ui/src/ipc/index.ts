import { Channel } from "@tauri-apps/api/core";
import { type AppError, type AppEvent, type Code, commands } from "./bindings";

export type * from "./bindings";

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** Whatever was thrown, as the one shape the screens show. Commands reject with an AppError, the framework with text. */
export function toAppError(thrown: unknown): AppError {
  if (isRecord(thrown) && typeof thrown.code === "string" && typeof thrown.message === "string") {
    return {
      code: thrown.code as Code,
      message: thrown.message,
      hint: typeof thrown.hint === "string" ? thrown.hint : null,
      details: typeof thrown.details === "string" ? thrown.details : null,
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "Internal", message, hint: null, details: thrown instanceof Error ? (thrown.stack ?? null) : null };
}

export const ipc = {
  ...commands,
  /** Events come in batches; one call of `onBatch` a batch. */
  subscribe(onBatch: (events: AppEvent[]) => void): Promise<null> {
    const channel = new Channel<AppEvent[]>();
    channel.onmessage = onBatch;
    return commands.subscribe(channel);
  },
};
