/** What holds of tasks, whoever executes them: their fields, their references, their changes of state. */

import {
  CircularDependencyError,
  codec,
  InvalidDependencyReferenceError,
  InvalidParamsError,
  InvalidParentReferenceError,
  InvalidStateTransitionError,
  InvalidTaskSchemaError,
  SdkError,
  TaskTreeValidationFailedError,
  type Dependency,
  type FieldError,
  type RpcError,
  type Task as StoredTask,
  type TaskInput,
  type TaskStatus,
  type TaskUpdates,
  type ValidationIssue,
} from "@protogen/apflow";

/** A task with all of its fields. */
export type Task = Required<StoredTask>;

/** Tasks by their ids, which are kept in lower case. */
export type Tasks = ReadonlyMap<string, Task>;

/** The fields that a caller may set; the others are the node's own. */
const GIVEN = [
  ...(["parent_id", "user_id", "name", "priority", "inputs", "schemas", "params", "dependencies"] as const),
  ...(["origin_type", "original_task_id", "schedule_type", "schedule_expression", "schedule_enabled"] as const),
  ...(["schedule_start_at", "schedule_end_at", "max_runs"] as const),
];

/** What a task has before it runs, and again before it runs anew. */
const FRESH = {
  status: "pending",
  result: null,
  error: null,
  progress: 0,
  started_at: null,
  completed_at: null,
} as const satisfies Partial<Task>;

/** A new task of what a caller has given. */
export function newTask(input: TaskInput, id: string, now: string): Task {
  return {
    ...{ parent_id: null, user_id: null, priority: 2, inputs: {}, schemas: null, params: null, dependencies: [] },
    ...{ origin_type: null, original_task_id: null, has_references: false, schedule_type: null },
    ...{ schedule_expression: null, schedule_enabled: false, schedule_start_at: null, schedule_end_at: null },
    ...{ next_run_at: null, last_run_at: null, max_runs: null, run_count: 0 },
    ...FRESH,
    name: input.name,
    ...given(input),
    ...{ id, created_at: now, updated_at: now },
  };
}

/** The fields that a caller has given and may give. */
export function given(fields: TaskUpdates): Partial<Task> {
  const known = Object.fromEntries(GIVEN.filter((name) => name in fields).map((name) => [name, fields[name]]));
  const task = known as Partial<Task>;
  if (task.parent_id) task.parent_id = task.parent_id.toLowerCase();
  if (task.original_task_id) task.original_task_id = task.original_task_id.toLowerCase();
  if (task.dependencies) task.dependencies = task.dependencies.map(wholeDependency);
  return task;
}

function wholeDependency({ id, required = true, ...more }: Dependency): Dependency {
  return { ...more, id: id.toLowerCase(), required };
}

/** A copy under a new id; `ids` leads from the tasks that are copied with it to their copies. */
export function copyOf(task: Task, ids: ReadonlyMap<string, string>, parent: string | null, now: string): Task {
  return {
    ...structuredClone(task),
    ...FRESH,
    ...{ id: ids.get(task.id) ?? task.id, parent_id: parent, created_at: now, updated_at: now },
    ...{ origin_type: "copy", original_task_id: task.id, has_references: false },
    dependencies: task.dependencies.map((each) => ({ ...each, id: ids.get(each.id) ?? each.id })),
  };
}

/** One change of state with its effects (04-execution-lifecycle.md). */
export function enter(task: Task, status: TaskStatus, now: string, fields: Partial<Task> = {}): void {
  if (status === "pending") Object.assign(task, FRESH);
  else if (status === "in_progress") task.started_at = now;
  else task.completed_at = now;
  Object.assign(task, { status, updated_at: now }, fields);
}

export function hasEnded({ status }: Task): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** Whether nothing a task depends on keeps it from starting: each has ended, and been completed where it must. */
export function isReady(task: Task, tasks: Tasks): boolean {
  if (task.status !== "pending") return false;
  return task.dependencies.every(({ id, required }) => {
    const other = tasks.get(id);
    return other === undefined || (required ? other.status === "completed" : hasEnded(other));
  });
}

// --- errors ---------------------------------------------------------------------------------------

/** Params that break their schema, field by field (08-errors.md, Validation Errors). */
export function explain(issues: readonly ValidationIssue[]): RpcError {
  return new InvalidParamsError(
    faultData(
      issues.map(({ path: text, message }) => {
        const steps = [...text.matchAll(/\.([^.[]+)|\[(\d+)\]|\["(.*)"\]/g)];
        const path = steps.map(([, name, index, quoted]) => (index === undefined ? (name ?? quoted ?? "") : +index));
        return { field: String(path.at(-1) ?? "params"), reason: message, path };
      }),
    ),
  );
}

/** One fault stands alone, several stand in a list. */
function faultData(faults: FieldError[]): FieldError | { errors: FieldError[] } {
  const [first] = faults;
  return first !== undefined && faults.length === 1 ? first : { errors: faults };
}

// --- fields ---------------------------------------------------------------------------------------

const DAY = "(?:mon|tue|wed|thu|fri|sat|sun)";
const DATE = "(?:0?[1-9]|[12]\\d|3[01])";
const CLOCK = "(?:[01]\\d|2[0-3]):[0-5]\\d";
const EXPRESSIONS: Readonly<Record<string, RegExp>> = {
  interval: /^0*[1-9]\d*$/,
  daily: new RegExp(`^${CLOCK}$`),
  weekly: new RegExp(`^${DAY}(?:,${DAY})*@${CLOCK}$`),
  monthly: new RegExp(`^${DATE}(?:,${DATE})*@${CLOCK}$`),
};
const CRON_BOUNDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** What the schema cannot say of a task: times, schedules, and inputs that its own schema describes. */
export function checkFields(task: Task): void {
  const faults: FieldError[] = [];
  for (const field of ["schedule_start_at", "schedule_end_at"] as const) {
    if (task[field] !== null && !isInstant(task[field])) {
      faults.push({ field, reason: "no ISO 8601 time with an offset", actual: task[field], path: [field] });
    }
  }
  if (task.schedule_enabled) faults.push(...scheduleFaults(task));
  faults.push(...inputFaults(task));
  if (faults.length > 0) throw new InvalidTaskSchemaError(faultData(faults));
}

function scheduleFaults({ schedule_type: type, schedule_expression: expression }: Task): FieldError[] {
  if (type === null || expression === null) {
    return [{ field: "schedule_enabled", reason: "it needs a type and an expression", path: ["schedule_enabled"] }];
  }
  if (isExpression(type, expression)) return [];
  const field = "schedule_expression";
  return [{ field, reason: `no expression of the type ${type}`, actual: expression, path: [field] }];
}

function isExpression(type: string, expression: string): boolean {
  if (type === "once") return isInstant(expression);
  if (type === "cron") return isCron(expression);
  return EXPRESSIONS[type]?.test(expression) ?? false;
}

function isInstant(text: string): boolean {
  return /^\d{4}-\d\d-\d\d[Tt].*(?:[Zz]|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text));
}

function isCron(expression: string): boolean {
  const fields = expression.trim().split(/\s+/);
  return fields.length === CRON_BOUNDS.length && fields.every((field, at) => isCronField(field, CRON_BOUNDS[at]));
}

function isCronField(field: string, [low, high]: readonly [number, number] = [0, 0]): boolean {
  return field.split(",").every((item) => {
    const found = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/[1-9]\d*)?$/.exec(item);
    return found?.slice(1).every((text) => text === undefined || (low <= +text && +text <= high)) ?? false;
  });
}

function inputFaults({ schemas, inputs }: Task): FieldError[] {
  if (schemas?.input_schema === undefined) return [];
  try {
    return codec
      .issues(schemas.input_schema, inputs)
      .map(({ path, message }) => ({ field: "inputs", reason: `${path}: ${message}`, path: ["inputs"] }));
  } catch (error) {
    if (!(error instanceof SdkError)) throw error;
    return [{ field: "input_schema", reason: error.message, path: ["schemas", "input_schema"] }];
  }
}

// --- references -----------------------------------------------------------------------------------

/** Parent and dependencies of a task must be among `tasks`, and lead back to it nowhere. */
export function checkReferences(task: Task, tasks: Tasks): void {
  const among = new Map(tasks).set(task.id, task);
  if (task.parent_id !== null && !among.has(task.parent_id)) {
    throw new InvalidParentReferenceError({ field: "parent_id", reason: "no such task", actual: task.parent_id });
  }
  const above = new Set<string>();
  for (let id = task.parent_id; id !== null && !above.has(id); id = among.get(id)?.parent_id ?? null) {
    above.add(id);
    if (id === task.id) throw new TaskTreeValidationFailedError({ field: "parent_id", reason: "parents in a circle" });
  }
  for (const { id } of task.dependencies) {
    if (!among.has(id)) {
      throw new InvalidDependencyReferenceError({ field: "dependencies", reason: "no such task", actual: id });
    }
  }
  const cycle = findCycle(task.id, among);
  if (cycle !== null) throw new CircularDependencyError({ cycle });
}

/** The ids of a circle of dependencies through a task, which stands at both ends. */
function findCycle(start: string, tasks: Tasks): string[] | null {
  const seen = new Set<string>();
  const waiting = [[start]];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const { id } of tasks.get(path.at(-1) ?? "")?.dependencies ?? []) {
      if (id === start) return [...path, start];
      if (!seen.has(id)) waiting.push([...path, id]);
      seen.add(id);
    }
  }
  return null;
}

/** The root of a tree; each parent leads to it. */
export function checkTree(tasks: Tasks): Task {
  const roots = [...tasks.values()].filter((task) => task.parent_id === null);
  const [root] = roots;
  if (root === undefined || roots.length > 1) {
    const reason = `a tree has one root, and here are ${roots.length}`;
    throw new TaskTreeValidationFailedError({ field: "tasks", reason, path: ["tasks"] });
  }
  for (const task of tasks.values()) checkReferences(task, tasks);
  return root;
}

/** The source of a link or an archive must be completed. */
export function checkOrigin({ origin_type: origin, original_task_id: source }: Task, tasks: Tasks): void {
  if (origin !== "link" && origin !== "archive") return;
  if (tasks.get(source ?? "")?.status === "completed") return;
  throw new InvalidTaskSchemaError({ field: "original_task_id", reason: `the source of a ${origin} is completed` });
}

// --- changes --------------------------------------------------------------------------------------

/** What a caller may change of a task's state: give it up before it runs, or have a failed one run anew. */
export function checkTransition(task: Task, to: TaskStatus): void {
  const { id, status: now } = task;
  if (to === now || (now === "pending" && to === "cancelled") || (now === "failed" && to === "pending")) return;
  const reason = hasEnded(task) ? `${now} is final` : "only the node executes tasks";
  const attempted_transition = `${now} -> ${to}`;
  throw new InvalidStateTransitionError({ task_id: id, current_status: now, attempted_transition, reason });
}

/** What an update must leave as it is: the id always, parent and owner while the task runs, all of an archive. */
export function checkUpdates(task: Task, updates: TaskUpdates & { readonly id?: unknown }): void {
  const busy = task.status === "in_progress" ? (["parent_id", "user_id"] as const) : [];
  const fixed = (["id", ...busy] as const).filter((name) => name in updates && updates[name] !== task[name]);
  const faults = fixed.map((field): FieldError => ({ field, reason: "it cannot change", path: ["updates", field] }));
  if (task.origin_type === "archive") faults.push({ field: "origin_type", reason: "an archive is frozen" });
  if (faults.length > 0) throw new InvalidTaskSchemaError(faultData(faults));
}
