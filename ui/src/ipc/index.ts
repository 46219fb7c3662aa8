import { Channel } from "@tauri-apps/api/core";
import { type AppError, type AppEvent, commands } from "./bindings";

export type * from "./bindings";

// The generator may give plain promises or promises of a Result; the rest of the UI sees values and throws.
type Data<R> = R extends { status: "ok"; data: infer D } ? D : R extends { status: "error"; error: unknown } ? never : R;
type Unwrapped<C> = {
  [K in keyof C]: C[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => Promise<Data<R>> : never;
};

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** Whatever was thrown, as the one shape the screens show. */
export function toAppError(thrown: unknown): AppError {
  if (isRecord(thrown) && typeof thrown.code === "string" && typeof thrown.message === "string") {
    return {
      code: thrown.code,
      message: thrown.message,
      hint: typeof thrown.hint === "string" ? thrown.hint : null,
      details: typeof thrown.details === "string" ? thrown.details : null,
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "Unexpected", message, hint: null, details: thrown instanceof Error ? (thrown.stack ?? null) : null };
}

function unwrap(result: unknown): unknown {
  if (isRecord(result)) {
    if (result.status === "error" && "error" in result) throw toAppError(result.error);
    if (result.status === "ok" && "data" in result) return result.data;
  }
  return result;
}

function wrap<C extends object>(raw: C): Unwrapped<C> {
  const wrapped: Record<string, unknown> = {};
  for (const [name, command] of Object.entries(raw) as [string, (...args: unknown[]) => Promise<unknown>][]) {
    wrapped[name] = async (...args: unknown[]) => {
      let result: unknown;
      try {
        result = await command(...args);
      } catch (thrown) {
        throw toAppError(thrown);
      }
      return unwrap(result);
    };
  }
  return wrapped as Unwrapped<C>;
}

const wrapped = wrap(commands);

export const ipc = {
  ...wrapped,
  /** Events come in batches; one call of `onBatch` a batch. */
  subscribe(onBatch: (events: AppEvent[]) => void): Promise<null> {
    const channel = new Channel<AppEvent[]>();
    channel.onmessage = onBatch;
    return wrapped.subscribe(channel);
  },
};
