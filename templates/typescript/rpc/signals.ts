/** Signals of several origins as one (AbortSignal.any is missing in Node before 20.3 and in browsers of 2023). */

/** A controller of its own that also aborts with any of its sources, until released. */
export interface Linked {
  readonly controller: AbortController;
  readonly release: () => void;
}

/** Links a new controller to signals; it takes over the reason of the first that aborts. */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): Linked {
  const controller = new AbortController();
  const releases = sources.map((source) => follow(source, controller));
  return { controller, release: () => releases.forEach((release) => release()) };
}

function follow(source: AbortSignal | undefined, controller: AbortController): () => void {
  if (source === undefined) return () => undefined;
  const abort = (): void => controller.abort(source.reason);
  if (source.aborted) abort();
  else source.addEventListener("abort", abort, { once: true });
  return () => source.removeEventListener("abort", abort);
}
