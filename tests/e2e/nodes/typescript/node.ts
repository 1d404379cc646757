/** A node of the AI Partner Up Flow Protocol, in memory, on the generated handler interface; it announces its port. */

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import {
  CannotDeleteTaskError,
  ExecutorNotFoundError,
  InvalidParamsError,
  nodeDispatcher,
  TaskAlreadyExecutingError,
  TaskNotFoundError,
  TaskTreeValidationFailedError,
  validate,
  type NodeContext,
  type NodeHandler,
  type PushNotificationConfig,
  type RequestConfiguration,
  type RequestMetadata,
  type StreamEvent,
  type StreamEventName,
  type TasksCancelParams,
  type TasksChildrenParams,
  type TasksCopyParams,
  type TasksCreateParams,
  type TasksDeleteParams,
  type TasksExecuteParams,
  type TasksGetParams,
  type TasksListParams,
  type TasksTreeParams,
  type TasksUpdateParams,
  type TaskTreeNode,
} from "@protogen/apflow";
import { requestListener } from "@protogen/apflow/node";

import { Execution, executors, Run } from "./execution.js";
import * as rules from "./rules.js";
import type { Task } from "./rules.js";

const PROTOCOL_VERSION = "1.0";
const DEFAULT_LIMIT = 100;
const ENDS: Partial<Record<Task["status"], StreamEventName>> = {
  completed: "task_completed",
  failed: "task_failed",
  cancelled: "task_cancelled",
};

class Node implements NodeHandler {
  readonly #execution = new Execution();
  readonly #tasks = this.#execution.tasks;

  tasksCreate(params: TasksCreateParams) {
    const task = rules.newTask(params, randomUUID(), this.#execution.now());
    rules.checkFields(task);
    rules.checkReferences(task, this.#tasks);
    rules.checkOrigin(task, this.#tasks);
    this.#tasks.set(task.id, task);
    const source = this.#tasks.get(task.original_task_id ?? "");
    if (task.origin_type === "link" && source !== undefined) source.has_references = true;
    this.#execution.plan(task);
    return { id: task.id, status: "pending" } as const;
  }

  tasksGet({ task_id }: TasksGetParams) {
    return this.#find(task_id);
  }

  tasksUpdate({ task_id, updates }: TasksUpdateParams) {
    const task = this.#find(task_id);
    const status = updates.status ?? task.status;
    rules.checkUpdates(task, updates);
    rules.checkTransition(task, status);
    const changed = { ...task, ...rules.given(updates) };
    rules.checkFields(changed);
    rules.checkReferences(changed, this.#tasks);
    if (Object.keys(updates).length > 0) Object.assign(task, changed, { updated_at: this.#execution.now() });
    if (Object.keys(updates).some((name) => name.startsWith("schedule_") || name === "max_runs")) {
      this.#execution.plan(task);
    }
    if (status === "pending" && task.status !== "pending") {
      this.#execution.reset([task]);
      this.#execution.wake();
    }
    if (status === "cancelled" && task.status !== "cancelled") this.#execution.cancel(task, "Cancelled");
    return { id: task.id, status: task.status };
  }

  tasksDelete({ task_id }: TasksDeleteParams) {
    const task = this.#find(task_id);
    const dependants = this.#select((other) => other.dependencies.some(({ id }) => id === task.id));
    const reasons = [
      ...(task.status === "pending" ? [] : [`it is ${task.status}`]),
      ...(this.#childrenOf(task).length > 0 ? ["it has children"] : []),
      ...(dependants.length > 0 ? ["others depend on it"] : []),
    ];
    if (reasons.length > 0) throw new CannotDeleteTaskError({ field: "task_id", reason: reasons.join(", ") });
    this.#tasks.delete(task.id);
    return { success: true } as const;
  }

  tasksList({ limit = DEFAULT_LIMIT, offset = 0, status, user_id }: TasksListParams) {
    const matching = this.#select(
      (task) => (status ?? task.status) === task.status && (user_id ?? task.user_id) === task.user_id,
    );
    const first = Number(offset);
    return { tasks: matching.slice(first, first + limit), total: matching.length, limit, offset };
  }

  async tasksExecute({ tasks, use_streaming }: TasksExecuteParams, context: NodeContext<StreamEvent>) {
    const { metadata, push } = besideParams(context.members);
    const run = this.#accept(tasks);
    // Who listens hears of the first change, too; and callbacks go on whether or not the caller stays.
    const events = use_streaming || metadata?.stream ? run.follow((task) => context.emit(news(task, run.root))) : null;
    if (push !== undefined) void run.follow((task) => callBack(push, task));
    this.#execution.begin(run);
    await events;
    return { root_task_id: run.root, status: "started" };
  }

  tasksCancel({ task_id, ...more }: TasksCancelParams & { readonly error_message?: unknown }) {
    const task = this.#find(task_id);
    // A task that runs ends here, too; for all others the rules know whether it can.
    if (task.status !== "in_progress") rules.checkTransition(task, "cancelled");
    if (task.status !== "cancelled") this.#execution.cancel(task, String(more.error_message ?? "Cancelled"));
    return { task_id: task.id, status: "cancelled" } as const;
  }

  tasksTree({ task_id }: TasksTreeParams) {
    const nodeOf = (task: Task): TaskTreeNode => ({ task, children: this.#childrenOf(task).map(nodeOf) });
    return nodeOf(this.#find(task_id));
  }

  tasksChildren({ parent_id }: TasksChildrenParams) {
    return { children: this.#childrenOf(this.#find(parent_id)) };
  }

  tasksCopy({ task_id, copy_children = false }: TasksCopyParams) {
    const original = this.#find(task_id);
    const sources = new Set([original, ...(copy_children ? this.#childrenOf(original) : [])]);
    if (copy_children) {
      // A set grows while it is gone through: what the children depend on comes along, once.
      for (const source of sources) {
        for (const { id } of source.dependencies) sources.add(this.#tasks.get(id) ?? source);
      }
    }
    const ids = new Map([...sources].map((source) => [source.id, randomUUID() as string]));
    const root = ids.get(original.id) ?? "";
    for (const source of sources) {
      const parent = source === original ? null : (ids.get(source.parent_id ?? "") ?? root);
      const copy = rules.copyOf(source, ids, parent, this.#execution.now());
      this.#tasks.set(copy.id, copy);
      source.has_references = true;
    }
    return { original_task_id: original.id, copied_task_id: root, status: "pending" } as const;
  }

  /** The tasks of a call as a run; nothing has happened where they are refused. */
  #accept(inputs: TasksExecuteParams["tasks"]): Run {
    const tree = new Map<string, Task>();
    for (const input of inputs) {
      const id = input.id?.toLowerCase() ?? randomUUID();
      if (tree.has(id))
        throw new TaskTreeValidationFailedError({ field: "id", reason: "twice in one tree", actual: id });
      const task = this.#tasks.get(id) ?? rules.newTask(input, id, this.#execution.now());
      if (task.status === "in_progress") throw new TaskAlreadyExecutingError({ task_id: id });
      rules.checkFields(task);
      tree.set(id, task);
    }
    const root = rules.checkTree(tree);
    for (const { schemas } of tree.values()) {
      if (schemas !== null && !executors.has(schemas.method)) {
        throw new ExecutorNotFoundError({ field: "method", reason: "not registered", actual: schemas.method });
      }
    }
    for (const task of tree.values()) this.#tasks.set(task.id, task);
    const again = this.#execution.reset([...tree.values()].filter(rules.hasEnded));
    return new Run(root.id, [...tree.keys(), ...again.map(({ id }) => id)]);
  }

  #find(id: string): Task {
    const task = this.#tasks.get(id.toLowerCase());
    if (task === undefined) throw new TaskNotFoundError({ task_id: id });
    return task;
  }

  #childrenOf({ id }: Task): Task[] {
    return this.#select((task) => task.parent_id === id);
  }

  #select(matches: (task: Task) => boolean): Task[] {
    return [...this.#tasks.values()].filter(matches);
  }
}

/** What a request may say beside its params (06-interfaces.md): that it wants a stream, and callbacks. */
function besideParams(members: Readonly<Record<string, unknown>>) {
  const { metadata, configuration } = members as { metadata?: RequestMetadata; configuration?: RequestConfiguration };
  const issues = [
    ...(metadata == null ? [] : validate("RequestMetadata", metadata)),
    ...(configuration == null ? [] : validate("RequestConfiguration", configuration)),
  ];
  if (issues.length > 0) throw rules.explain(issues);
  const push = configuration?.push_notification_config;
  if (push !== undefined && !(URL.canParse(push.url) && /^https?:/i.test(push.url))) {
    throw new InvalidParamsError({ field: "url", reason: "no address of HTTP", actual: push.url });
  }
  return { metadata, push };
}

function news({ id, status, progress }: Task, root: string): StreamEvent {
  const data = { protocol: "a2a", task_id: id, status, progress, root_task_id: root } as const;
  return { event: ENDS[status] ?? "task_status_update", data };
}

/** Tells a receiver how a task is doing. A callback is sent once; that it was lost is the receiver's matter. */
async function callBack({ url, headers }: PushNotificationConfig, task: Task): Promise<void> {
  const { id, status, progress, result } = task;
  const request = {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ task_id: id, status, progress, result }),
    signal: AbortSignal.timeout(5000),
  };
  await fetch(url, request).catch(() => undefined);
}

const serve = requestListener(nodeDispatcher(new Node(), { explain: rules.explain }));
const server = createServer((request, response) => {
  response.setHeader("x-apflow-protocol-version", PROTOCOL_VERSION);
  serve(request, response);
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
