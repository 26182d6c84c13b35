// The official MCP clients for TypeScript against Kirosu's MCP server: each tool once, resources, and the Tasks extension.
//
//     node client.mjs every_tool SETUP.json
//
// SETUP.json is as for client.py. Its `modules` is the folder with the clients and its `sdk` the name of one: `sdk` is that of the
// revisions with a handshake (@modelcontextprotocol/sdk), `client` that of the newest revision, too (@modelcontextprotocol/client).
// A client checks each structured result against the schema of its tool.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { pathToFileURL } from "node:url";

const SETUP = JSON.parse(readFileSync(process.argv[3], "utf8"));
const TOOLS = JSON.parse(readFileSync(new URL("tools.json", import.meta.url), "utf8"));
const load = (file) => import(pathToFileURL(`${SETUP.modules}/node_modules/@modelcontextprotocol/${file}`));
const TASKS = "io.modelcontextprotocol/tasks";
const NEWEST = "2026-07-28";
const US = { name: "typescript", version: "1" };
const called = new Set();

// ---------------------------------------------------------------- connections

async function modules() {
  if (SETUP.sdk === "client") {
    const [all, stdio] = [await load("client/dist/index.mjs"), await load("client/dist/stdio.mjs")];
    return { ...all, ...stdio };
  }
  const names = ["index", "stdio", "streamableHttp"].map((name) => load(`sdk/dist/esm/client/${name}.js`));
  return Object.assign({}, ...(await Promise.all(names)));
}

async function connected() {
  const { Client, StdioClientTransport, StreamableHTTPClientTransport } = await modules();
  const transport = SETUP.stdio
    ? new StdioClientTransport({ command: SETUP.stdio.command, args: SETUP.stdio.arguments, env: SETUP.stdio.environment })
    : new StreamableHTTPClientTransport(new URL(SETUP.url));
  const options = SETUP.mode === "auto" ? { versionNegotiation: { mode: "auto" } } : {};
  const client = new Client(US, options);
  await client.connect(transport);
  return { client, transport };
}

/** A connection to the hub itself, for a worker. */
class Worker {
  constructor() {
    this.socket = net.connect(SETUP.hub.port, "127.0.0.1");
    this.lines = "";
    this.waiting = [];
    this.socket.setEncoding("utf8").on("data", (text) => {
      this.lines += text;
      for (let at; (at = this.lines.indexOf("\n")) >= 0; this.lines = this.lines.slice(at + 1)) {
        this.waiting.shift()(JSON.parse(this.lines.slice(0, at)));
      }
    });
  }

  async ask(method, params = {}) {
    const answer = new Promise((told) => this.waiting.push(told));
    this.socket.write(`${JSON.stringify({ id: 1, method, params })}\n`);
    const { error, result } = await answer;
    assert.equal(error, null, JSON.stringify(error));
    return result;
  }

  async lease(queue) {
    const { tasks } = await this.ask("lease", { worker_id: "w-1", queues: [queue], wait_seconds: 20 });
    assert.equal(tasks.length, 1, `nothing in ${queue}`);
    return { task_id: tasks[0].task_id, fence: tasks[0].fence };
  }

  async finish(queue, result = "ok") {
    await this.ask("ack", { ...(await this.lease(queue)), status: "done", result });
  }
}

// ---------------------------------------------------------------- the tools

async function call(client, name, args = {}) {
  called.add(name);
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return result.structuredContent;
}

async function refused(client, name, args = {}) {
  called.add(name);
  const result = await client.callTool({ name, arguments: args });
  assert.ok(result.isError, `${name}: ${JSON.stringify(result.structuredContent)}`);
  return result.content[0].text;
}

async function everyTool(client, worker) {
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name).sort(), Object.keys(TOOLS).sort());

  const one = (await call(client, "enqueue_task", { prompt: "one", queue: "q" })).task_id;
  const list = { tasks: [1, 2].map((n) => ({ prompt: `part ${n}`, queue: "q", labels: ["ts"] })), idempotency_key: "ts" };
  const ids = (await call(client, "enqueue_tasks", list)).task_ids;
  for (let n = 0; n < 3; n += 1) await worker.finish("q", `result ${n}`);
  assert.equal((await call(client, "wait_for_task", { task_id: one, timeout_seconds: 30 })).result, "result 0");
  assert.deepEqual((await call(client, "wait_for_tasks", { task_ids: ids, timeout_seconds: 30 })).counts, { done: 2 });
  assert.equal((await call(client, "get_task_status", { task_id: one, output: true })).status, "done");
  assert.equal((await call(client, "get_results", { label: "ts" })).results.length, 2);
  assert.equal((await call(client, "list_tasks", { queue: "q", limit: 1 })).tasks.length, 1);

  const mapped = call(client, "map_items", { prompt: "{{ item }}", items: ["a", "b"], queue: "m", timeout_seconds: 30 });
  for (let n = 0; n < 2; n += 1) await worker.finish("m");
  const run = await mapped;
  assert.deepEqual([run.state, run.done, run.items], ["done", 2, 2]);
  const plan = { pipeline: [{ id: "say", pool: "p", prompt: "hello", max_attempts: 1 }] };
  const planned = (await call(client, "run_plan", { plan: JSON.stringify(plan) })).task_id;
  await worker.ask("ack", { ...(await worker.lease("p")), status: "failed", error: "no voice" });
  await call(client, "wait_for_task", { task_id: planned, timeout_seconds: 30 });
  assert.equal((await call(client, "get_run", { task_id: planned })).state, "failed");
  assert.equal((await call(client, "list_run_items", { task_id: planned, state: "failed" })).items.length, 1);
  assert.equal((await call(client, "list_runs")).runs.length, 2);
  await call(client, "retry_run", { task_id: planned });
  await worker.finish("p");

  const held = await call(client, "enqueue_task", { prompt: "x", queue: "nobody", requires_approval: true });
  assert.equal((await call(client, "list_questions")).questions[0].task_id, held.task_id);
  assert.equal((await call(client, "approve_task", { task_id: held.task_id })).status, "queued");
  assert.equal((await call(client, "cancel_task", { task_id: held.task_id })).status, "cancelled");
  const human = () => call(client, "enqueue_task", { prompt: "Which?", task_type: "human" });
  assert.equal((await call(client, "answer_task", { ...pick(await human()), text: "the second" })).status, "done");
  assert.equal((await call(client, "reject_task", { ...pick(await human()), reason: "no" })).status, "failed");
  const more = await call(client, "enqueue_tasks", { tasks: [{ prompt: "x", queue: "nobody" }] });
  assert.equal((await call(client, "cancel_tasks", { task_ids: more.task_ids })).cancelled, 1);
  assert.deepEqual((await call(client, "list_schedules")).schedules, []);
  assert.match(await refused(client, "wait_for_children"), /only the token of a run/);
  assert.deepEqual([...called].sort(), Object.keys(TOOLS).sort(), "a tool was not called");

  const { resources } = await client.listResources();
  assert.ok(resources.some((it) => it.uri === `kirosu://runs/${planned}`), JSON.stringify(resources));
  const { contents } = await client.readResource({ uri: `kirosu://tasks/${one}/result` });
  assert.deepEqual([contents[0].mimeType, contents[0].text], ["text/plain", "result 0"]);
}

const pick = ({ task_id }) => ({ task_id });

// ---------------------------------------------------------------- the Tasks extension

/** Sends requests beside the client, whose types know nothing of tasks. */
function beside(transport) {
  const [open, before] = [new Map(), transport.onmessage];
  transport.onmessage = (message, ...more) => {
    const told = open.get(message.id);
    if (!told) return before?.(message, ...more);
    open.delete(message.id);
    told("error" in message ? { kind: "error", error: message.error } : { kind: "result", result: message.result });
  };
  return (request) => {
    const id = `beside-${open.size}-${Math.random()}`;
    const answer = new Promise((told) => open.set(id, told));
    const name = request.params?.taskId ?? request.params?.name;
    const headers = { "mcp-method": request.method, "mcp-name": name, "mcp-protocol-version": NEWEST };
    transport.send({ jsonrpc: "2.0", id, ...request }, { headers });
    return answer;
  };
}

async function tasks(client, transport, worker) {
  const { createTaskSessionFromClient, resultFromTaskOutcome } = await load("ext-tasks/dist/client/index.js");
  const framing = { protocolVersion: NEWEST, clientInfo: US, clientCapabilities: { extensions: { [TASKS]: {} } } };
  const session = createTaskSessionFromClient(client, {
    endpointId: "kirosu",
    rawDispatch: beside(transport),
    v2RequestFraming: framing,
  });
  const settled = async (name, args, queue, count) => {
    const execution = await session.callTool(name, args);
    for (let n = 0; n < count; n += 1) await worker.finish(queue, "by a task");
    const { outcome, lastTask } = await execution.settle();
    assert.ok(lastTask, `${name} made no task`);
    return resultFromTaskOutcome(outcome).structuredContent;
  };
  const one = await settled("enqueue_task", { prompt: "one", queue: "t" }, "t", 1);
  assert.deepEqual([one.status, one.result], ["done", "by a task"]);
  const later = await call(client, "enqueue_tasks", { tasks: [{ prompt: "two", queue: "t" }] });
  const two = await settled("wait_for_task", { task_id: later.task_ids[0] }, "t", 1);
  assert.equal(two.result, "by a task");
  const mapped = await settled("map_items", { prompt: "{{ item }}", items: [1, 2], queue: "t" }, "t", 2);
  assert.deepEqual([mapped.state, mapped.done], ["done", 2]);
  await session.close();
}

const { client, transport } = await connected();
const worker = new Worker();
try {
  await everyTool(client, worker);
  if (SETUP.sdk === "client" && SETUP.mode === "auto") await tasks(client, transport, worker);
} finally {
  worker.socket.destroy();
  await client.close();
}
