/** Tasks being executed: what is ready starts by priority, what happens is told, schedules trigger. */

import { setTimeout as pause } from "node:timers/promises";

import type { TaskStatus } from "@protogen/apflow";

import { enter, hasEnded, isReady, type Task } from "./rules.js";

/** Does the work of a task; what it throws becomes the task's error. */
export type Executor = (inputs: Task["inputs"], signal: AbortSignal) => Promise<Record<string, unknown>>;

export const executors: ReadonlyMap<string, Executor> = new Map<string, Executor>([
  ["echo", async (inputs) => Promise.resolve(inputs)],
  ["sleep", sleep],
  ["fail", async ({ message }) => Promise.reject(new Error(String(message ?? "it was asked to fail")))],
]);

async function sleep({ seconds }: Task["inputs"], signal: AbortSignal): Promise<Record<string, unknown>> {
  if (typeof seconds !== "number" || seconds < 0) throw new TypeError("seconds is a number from 0 on");
  await pause(seconds * 1000, undefined, { signal });
  return { slept: seconds };
}

/** Tasks executed at a time; what is ready beyond that waits, the most urgent first. */
const MAX_RUNNING = 64;

/** Longest time that timers can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** One call of tasks.execute. */
export class Run {
  readonly root: string;
  readonly tasks: ReadonlySet<string>;
  readonly ended: Promise<void>;
  readonly #listeners: ((task: Task) => void)[] = [];
  #end = (): void => undefined;

  constructor(root: string, tasks: Iterable<string>) {
    this.root = root;
    this.tasks = new Set(tasks);
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** Gives `take` a task after each of its changes, one at a time, and resolves when all has been taken. */
  async follow(take: (task: Task) => Promise<void>): Promise<void> {
    let taken = Promise.resolve();
    this.#listeners.push((task) => {
      const seen = structuredClone(task);
      taken = taken.then(() => take(seen));
      // It is awaited below; until then nobody would hear of it.
      taken.catch(() => undefined);
    });
    await this.ended;
    await taken;
  }

  tell(task: Task): void {
    if (this.tasks.has(task.id)) for (const listener of this.#listeners) listener(task);
  }

  end(): void {
    this.#end();
  }
}

/** All tasks of the node, by their ids, and the runs under way. */
export class Execution {
  readonly tasks = new Map<string, Task>();
  readonly #runs = new Set<Run>();
  readonly #attempts = new Map<string, AbortController>();
  #lastMoment = 0;

  /** The time, later than whenever it was asked for before. */
  now(): string {
    this.#lastMoment = Math.max(Date.now(), this.#lastMoment + 1);
    return new Date(this.#lastMoment).toISOString();
  }

  /** Executes what a run can reach. */
  begin(run: Run): void {
    this.#runs.add(run);
    this.wake();
  }

  change(task: Task, status: TaskStatus, fields: Partial<Task> = {}): void {
    enter(task, status, this.now(), fields);
    for (const run of this.#runs) run.tell(task);
  }

  cancel(task: Task, error: string): void {
    this.change(task, "cancelled", { error });
    this.#attempts.get(task.id)?.abort();
    this.wake();
  }

  /** Sets tasks back, and whatever has ended and depends on them. */
  reset(tasks: Iterable<Task>): Task[] {
    const found = new Set(tasks);
    for (const { id } of found) {
      for (const other of this.tasks.values()) {
        if (hasEnded(other) && other.dependencies.some((each) => each.id === id)) found.add(other);
      }
    }
    for (const task of found) this.change(task, "pending");
    return [...found];
  }

  /** Starts what is ready, in the order of priority, and ends the runs in which nothing can become ready. */
  wake(): void {
    for (const run of [...this.#runs]) {
      const tasks = [...run.tasks].flatMap((id) => this.tasks.get(id) ?? []);
      const ready = tasks.filter((task) => isReady(task, this.tasks)).sort((a, b) => a.priority - b.priority);
      for (const task of ready.slice(0, Math.max(0, MAX_RUNNING - this.#attempts.size))) this.#start(task);
      if (ready.length > 0 || tasks.some((task) => task.status === "in_progress")) continue;
      this.#runs.delete(run);
      run.end();
    }
  }

  #start(task: Task): void {
    const attempt = new AbortController();
    this.#attempts.set(task.id, attempt);
    this.change(task, "in_progress");
    const settle = (status: TaskStatus, fields: Partial<Task>): void => {
      if (this.#attempts.get(task.id) === attempt) this.#attempts.delete(task.id);
      // What an executor says after its task was cancelled changes nothing.
      if (task.status === "in_progress" && !attempt.signal.aborted) this.change(task, status, fields);
      this.wake();
    };
    perform(task, attempt.signal).then(
      (result) => settle("completed", { result, progress: 1 }),
      (error: unknown) => settle("failed", { error: messageOf(error) }),
    );
  }

  // --- schedules ----------------------------------------------------------------------------------

  /** Sets the time of a task's next run; calendars are left to grown-up nodes. */
  plan(task: Task, after = Date.now()): void {
    const at = nextRun(task, after);
    task.next_run_at = at === null ? null : new Date(at).toISOString();
    if (at !== null) this.#arm(task, at);
  }

  #arm(task: Task, at: number): void {
    const left = at - Date.now();
    const again = (): void => (left > MAX_TIMER_MS ? this.#arm(task, at) : this.#trigger(task, at));
    setTimeout(again, Math.min(left, MAX_TIMER_MS)).unref();
  }

  #trigger(task: Task, at: number): void {
    const isPlanned = task.next_run_at !== null && Date.parse(task.next_run_at) === at;
    if (!isPlanned || this.tasks.get(task.id) !== task) return;
    if (task.status !== "in_progress") {
      Object.assign(task, { run_count: Number(task.run_count) + 1, last_run_at: this.now() });
      if (hasEnded(task)) this.reset([task]);
      this.begin(new Run(task.id, [task.id]));
    }
    this.plan(task, at);
  }
}

async function perform({ schemas, inputs }: Task, signal: AbortSignal): Promise<Record<string, unknown>> {
  if (schemas === null) return {}; // such a task only groups others
  const executor = executors.get(schemas.method);
  if (executor === undefined) throw new Error(`no executor is registered as ${schemas.method}`);
  return executor(structuredClone(inputs), signal);
}

function messageOf(error: unknown): string {
  return (error instanceof Error && error.message) || "the executor failed";
}

/** When a schedule triggers next, in milliseconds since 1970. */
function nextRun(task: Task, after: number): number | null {
  const { schedule_type: type, schedule_expression: expression, max_runs: most, run_count: count } = task;
  if (!task.schedule_enabled || expression === null || (most !== null && count >= most)) return null;
  const start = Math.max(after, Date.parse(task.schedule_start_at ?? "") || 0);
  const at = type === "interval" ? start + Number(expression) * 1000 : type === "once" ? Date.parse(expression) : NaN;
  const isLate = task.schedule_end_at !== null && at > Date.parse(task.schedule_end_at);
  return at > after && at < 8.64e15 && !isLate ? at : null;
}
