/** Abort signals: following several as one, without one listener for each call that shares a signal. */

/** What waits for a signal. One listener serves all: runtimes warn of a leak when a signal has more than ten. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `action` when the signal aborts, at once when it has; gives the way to stop waiting. */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  if (signal.aborted) {
    action();
    return () => undefined;
  }
  const own = (): void => action();
  const actions = waiting.get(signal) ?? listen(signal);
  actions.add(own);
  return () => actions.delete(own);
}

function listen(signal: AbortSignal): Set<() => void> {
  const actions = new Set<() => void>();
  waiting.set(signal, actions);
  const run = (): void => {
    for (const action of [...actions]) action();
    actions.clear();
  };
  signal.addEventListener("abort", run, { once: true });
  return actions;
}

/** A controller of its own that also aborts with any of its sources, until released. */
export interface Linked {
  readonly controller: AbortController;
  readonly release: () => void;
}

/** Links a new controller to signals; it takes over the reason of the first that aborts. */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): Linked {
  const controller = new AbortController();
  const releases = sources.map((source) =>
    source === undefined ? () => undefined : onAbort(source, () => controller.abort(source.reason)),
  );
  return { controller, release: () => releases.forEach((release) => release()) };
}

/** The outcome of `work`, or the signal's reason as soon as it aborts: for work that may not heed it. */
export async function unlessAborted<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  let release = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    release = onAbort(signal, () => reject(signal.reason as Error));
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    release();
  }
}
