/** The cross-talk of streamed answers in TypeScript: `--serve` is an agent (prints its port), a URL is called. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import {
  AgentClient,
  RpcError,
  TaskNotFoundError,
  TransportError,
  agentDispatcher,
  type AgentContext,
  type AgentHandler,
  type SendMessageRequest,
  type StreamResponse,
  type SubscribeToTaskRequest,
  type TaskState,
} from "@protogen/a2a";
import { requestListener } from "@protogen/a2a/node";

const TASK: StreamResponse = { task: { id: "t", status: { state: "TASK_STATE_SUBMITTED" } } };

function update(state: TaskState): StreamResponse {
  return { statusUpdate: { taskId: "t", contextId: "c", status: { state } } };
}

/** Answers three times to a message; to a subscription once, or once and then with an error. */
const agent: Partial<AgentHandler> = {
  async sendStreamingMessage(_: SendMessageRequest, context: AgentContext<StreamResponse>): Promise<StreamResponse> {
    await context.emit(TASK);
    await context.emit(update("TASK_STATE_WORKING"));
    return update("TASK_STATE_COMPLETED");
  },

  async subscribeToTask(
    params: SubscribeToTaskRequest,
    context: AgentContext<StreamResponse>,
  ): Promise<StreamResponse> {
    if (params.id !== "gone") return TASK;
    await context.emit(TASK);
    throw new TaskNotFoundError();
  },
};

function shown(item: StreamResponse): string {
  return item.task?.status.state ?? item.statusUpdate?.status.state ?? "artifact";
}

/** The events, and the result or the code of the error. */
async function told(stream: AsyncIterable<StreamResponse> & { result(): Promise<StreamResponse> }): Promise<unknown> {
  const events: string[] = [];
  try {
    for await (const event of stream) events.push(shown(event));
    return [events, shown(await stream.result())];
  } catch (error) {
    if (error instanceof RpcError) return [events, error.code];
    if (error instanceof TransportError) return [events, "cut"];
    throw error;
  }
}

const argument = process.argv[2];
if (argument === undefined || argument === "--serve") {
  const service = agentDispatcher(agent as AgentHandler, { onError: () => undefined });
  const server = createServer(requestListener(service));
  server.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
  process.stdin.on("end", () => process.exit(0)).resume();
} else {
  const client = new AgentClient(argument);
  const message = { messageId: "m", role: "ROLE_USER", parts: [{ text: "hello" }] } as const;
  const steps = {
    stream: await told(client.sendStreamingMessageStream({ message: { ...message, parts: [...message.parts] } })),
    once: await told(client.subscribeToTaskStream({ id: "once" })),
    gone: await told(client.subscribeToTaskStream({ id: "gone" })),
  };
  console.log(JSON.stringify(steps));
  await client.close();
}
