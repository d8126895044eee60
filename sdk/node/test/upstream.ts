// A scripted provider on loopback: chat completions and messages, whole and streamed. Its answer is a function of the
// request, as a model's at temperature 0 is; its id counts the calls, so that a fresh answer can be told from a stored.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Message {
  role: string;
  content: unknown;
}

export interface Body {
  model: string;
  stream?: boolean;
  messages: Message[];
  tools?: unknown[];
  [field: string]: unknown;
}

export interface Call {
  path: string;
  headers: IncomingHttpHeaders;
  body: Body;
}

export interface Said {
  text?: string;
  tool?: { name: string; arguments: unknown };
  finish?: string;
  /** An error instead. */
  status?: number;
}

export type Script = (call: Call) => Said;

export const saysHash: Script = ({ body }) => ({
  text: `Answer ${createHash("sha256").update(JSON.stringify(body.messages)).digest("hex").slice(0, 8)}`,
});

export class Upstream {
  readonly calls: Call[] = [];
  readonly #server: Server;

  constructor(private readonly script: Script = saysHash) {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8");
        if (!/\/(chat\/completions|messages)(\?.*)?$/.test(request.url ?? ""))
          return void response.writeHead(404).end("{}");
        const call = { path: request.url ?? "", headers: request.headers, body: JSON.parse(text) as Body };
        this.calls.push(call);
        this.#answer(call, response);
      });
    });
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** Without /v1, as Anthropic's clients want it. */
  get root(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.root}/v1`;
  }

  #answer(call: Call, response: ServerResponse): void {
    const said = this.script(call);
    if (said.status !== undefined) {
      response.writeHead(said.status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { type: "scripted", message: "scripted failure" } }));
      return;
    }
    const events = call.path.includes("/messages")
      ? messages(this.calls.length, call.body, said)
      : chat(this.calls.length, call.body, said);
    if (!call.body.stream) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(events.whole));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(events.stream);
  }
}

const USAGE = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };

function chat(number: number, body: Body, said: Said): { whole: unknown; stream: string } {
  const id = `chatcmpl-${number}`;
  const head = { id, object: "chat.completion.chunk", created: 1795000000, model: body.model };
  const tool = said.tool && {
    id: `call_${createHash("sha256").update(JSON.stringify(body.messages)).digest("hex").slice(0, 12)}`,
    type: "function",
    function: { name: said.tool.name, arguments: JSON.stringify(said.tool.arguments) },
  };
  const finish = said.finish ?? (tool ? "tool_calls" : "stop");
  const message = { role: "assistant", content: said.text ?? null, ...(tool ? { tool_calls: [tool] } : {}) };
  const words = (said.text ?? "").split(/(?<= )/).filter(Boolean);
  const chunks: unknown[] = [
    { ...head, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] },
    ...words.map((content) => ({ ...head, choices: [{ index: 0, delta: { content }, finish_reason: null }] })),
    ...(tool
      ? [{ ...head, choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...tool }] }, finish_reason: null }] }]
      : []),
    { ...head, choices: [{ index: 0, delta: {}, finish_reason: finish }] },
    { ...head, choices: [], usage: USAGE },
  ];
  return {
    whole: {
      ...head,
      object: "chat.completion",
      choices: [{ index: 0, message, finish_reason: finish }],
      usage: USAGE,
    },
    stream: `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")}data: [DONE]\n\n`,
  };
}

function messages(number: number, body: Body, said: Said): { whole: unknown; stream: string } {
  const usage = { input_tokens: 11, output_tokens: 7 };
  const block = said.tool
    ? { type: "tool_use", id: `toolu_${number}`, name: said.tool.name, input: said.tool.arguments }
    : { type: "text", text: said.text ?? "" };
  const head = { id: `msg_${number}`, type: "message", role: "assistant", model: body.model };
  const finish = { stop_reason: said.finish ?? (said.tool ? "tool_use" : "end_turn"), stop_sequence: null };
  const delta = said.tool
    ? { type: "input_json_delta", partial_json: JSON.stringify(said.tool.arguments) }
    : { type: "text_delta", text: said.text ?? "" };
  const start = said.tool ? { ...block, input: {} } : { type: "text", text: "" };
  const events = [
    {
      type: "message_start",
      message: {
        ...head,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...usage, output_tokens: 1 },
      },
    },
    { type: "content_block_start", index: 0, content_block: start },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: finish, usage: { output_tokens: 7 } },
    { type: "message_stop" },
  ];
  return {
    whole: { ...head, content: [block], ...finish, usage },
    stream: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""),
  };
}
