// The real `ai` package: its own mock model, and a real provider package before a scripted provider.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { generateText, jsonSchema, stepCountIs, streamText, tool, wrapLanguageModel } from "ai";
import { MockLanguageModelV4, simulateReadableStream } from "ai/test";
import { Client, type Lookup } from "payonce";
import { type MiddlewareOptions, payonceMiddleware } from "payonce/ai-sdk";
import { Instance } from "./instance.js";
import { saysHash, Upstream } from "./upstream.js";

const upstream = new Upstream((call) => {
  const last = JSON.stringify(call.body.messages.at(-1));
  const isAnswered = /"role":"tool"|"tool_result"/.test(last);
  if (call.body.tools?.length && !isAnswered) return { tool: { name: "weather", arguments: { city: "Ulm" } } };
  return saysHash(call);
});
let instance: Instance;
let client: Client;
let lookups: Lookup[];
before(async () => {
  await upstream.start();
  instance = await new Instance(["--upstream", upstream.url, "--layers", "none"]).start();
});
after(async () => {
  client.close();
  await instance.stop();
  await upstream.stop();
});
beforeEach(async () => {
  client?.close();
  client = new Client({
    socket: instance.socket,
    credential: `sk-${Math.random()}`,
    strict: true,
    lookupTimeoutMs: 5000,
  });
  lookups = [];
  upstream.calls.length = 0;
});

const statuses = () => lookups.map((found) => found.status);
const middleware = (more: MiddlewareOptions = {}) =>
  payonceMiddleware({ client, onLookup: (found) => void lookups.push(found), ...more });

const USAGE = {
  inputTokens: { total: 11, noCache: 11, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 7, text: 7, reasoning: 0 },
};
const PARTS: LanguageModelV4StreamPart[] = [
  { type: "stream-start", warnings: [] },
  { type: "response-metadata", id: "r-1", modelId: "m", timestamp: new Date("2026-11-26T12:00:00Z") },
  { type: "reasoning-start", id: "0" },
  { type: "reasoning-delta", id: "0", delta: "Hm.", providerMetadata: { p: { signature: "s==" } } },
  { type: "reasoning-end", id: "0" },
  { type: "text-start", id: "1" },
  { type: "text-delta", id: "1", delta: "Grüße" },
  { type: "text-delta", id: "1", delta: " 🌍" },
  { type: "text-end", id: "1" },
  { type: "file", mediaType: "image/png", data: { type: "data", data: new Uint8Array([1, 2, 255]) } },
  { type: "tool-call", toolCallId: "call-1", toolName: "weather", input: '{"city":"Ulm"}' },
  { type: "finish", finishReason: { unified: "tool-calls", raw: "tool_use" }, usage: USAGE },
];

function mock(parts = PARTS): MockLanguageModelV4 {
  return new MockLanguageModelV4({
    doStream: async () => ({ stream: simulateReadableStream({ chunks: parts }) }),
    doGenerate: async () => ({
      content: [{ type: "text", text: "Hello" }],
      finishReason: { unified: "stop", raw: "stop" },
      usage: USAGE,
      warnings: [],
      response: { id: "r-1", modelId: "m", timestamp: new Date("2026-11-26T12:00:00Z"), headers: { a: "b" } },
    }),
  });
}

const PROMPT = { prompt: [{ role: "user" as const, content: [{ type: "text" as const, text: "Hi" }] }] };

async function streamed(model: { doStream: MockLanguageModelV4["doStream"] }, params: object = {}) {
  const { stream } = await model.doStream({ ...PROMPT, ...params });
  const parts: LanguageModelV4StreamPart[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

test("a stream is replayed part by part: ids, bytes, dates, usage", async () => {
  const model = mock();
  const wrapped = wrapLanguageModel({ model, middleware: middleware() });
  const first = await streamed(wrapped);
  assert.deepEqual(first, PARTS);
  assert.deepEqual(await streamed(wrapped), PARTS);
  assert.deepEqual(statuses(), ["miss", "hit"]);
  assert.equal(model.doStreamCalls.length, 1);
});

test("a whole answer is replayed with content, usage and response id", async () => {
  const model = mock();
  const wrapped = wrapLanguageModel({ model, middleware: middleware() });
  const first = await generateText({ model: wrapped, prompt: "Hi" });
  const second = await generateText({ model: wrapped, prompt: "Hi" });
  assert.deepEqual([second.text, second.usage, second.finishReason], ["Hello", first.usage, "stop"]);
  assert.deepEqual([second.response.id, second.response.timestamp], ["r-1", new Date("2026-11-26T12:00:00Z")]);
  assert.equal(model.doGenerateCalls.length, 1);
  await generateText({ model: wrapped, prompt: "Hi", temperature: 0.5 });
  await generateText({ model: wrapped, prompt: "Hi", seed: 1 });
  await generateText({ model: wrapped, prompt: "Ho" });
  await generateText({ model: wrapped, prompt: "Hi", headers: { "anthropic-beta": "x" } });
  assert.deepEqual(statuses(), ["miss", "hit", "miss", "miss", "miss", "miss"]);
});

test("an answer that was cut, filtered, failed or left is not kept", async () => {
  const finish = (unified: "length" | "content-filter" | "error") => {
    const last = { type: "finish" as const, finishReason: { unified, raw: unified }, usage: USAGE };
    return [...PARTS.slice(0, -1), last];
  };
  const bad: LanguageModelV4StreamPart[][] = [
    finish("length"),
    finish("content-filter"),
    PARTS.slice(0, -1),
    [...PARTS.slice(0, 3), { type: "error", error: new Error("lost") }, ...PARTS.slice(3)],
  ];
  for (const parts of bad) {
    const wrapped = wrapLanguageModel({ model: mock(parts), middleware: middleware({ key: parts.length }) });
    await streamed(wrapped);
    await streamed(wrapped);
  }
  const left = wrapLanguageModel({ model: mock(), middleware: middleware({ key: "left" }) });
  await (await left.doStream(PROMPT)).stream.cancel();
  await streamed(left);
  assert.deepEqual(new Set(statuses()), new Set(["miss"]));
});

test("what throws is thrown, and its ticket is free again", async () => {
  const model = new MockLanguageModelV4({ doGenerate: () => Promise.reject(new Error("overloaded")) });
  const wrapped = wrapLanguageModel({ model, middleware: middleware() });
  for (let n = 0; n < 2; n++) await assert.rejects(async () => wrapped.doGenerate(PROMPT), /overloaded/);
  assert.deepEqual(
    lookups.map((found) => found.status === "miss" && found.in_flight),
    [undefined, undefined],
  );
});

test("inside run() an answer is visible when the run has succeeded", async () => {
  const wrapped = wrapLanguageModel({ model: mock(), middleware: middleware() });
  await assert.rejects(
    client.run(async () => {
      await streamed(wrapped);
      await streamed(wrapped);
      throw new Error("a failed run");
    }),
  );
  await client.run(() => streamed(wrapped));
  await streamed(wrapped);
  assert.deepEqual(statuses(), ["miss", "hit", "miss", "hit"]);
});

test("bypass: neither read nor written", async () => {
  const model = mock();
  const wrapped = wrapLanguageModel({ model, middleware: middleware({ bypass: (params) => params.seed === 7 }) });
  await streamed(wrapped, { seed: 7 });
  await streamed(wrapped, { seed: 7 });
  assert.deepEqual([lookups.length, model.doStreamCalls.length], [0, 2]);
});

test("without an instance the model is asked, always", async () => {
  const away = new Client({ socket: "/nonexistent/payonce.sock" });
  const model = mock();
  const wrapped = wrapLanguageModel({ model, middleware: payonceMiddleware({ client: away }) });
  assert.deepEqual(await streamed(wrapped), PARTS);
  assert.deepEqual(await streamed(wrapped), PARTS);
  assert.equal(model.doStreamCalls.length, 2);
});

const WEATHER = {
  weather: tool({
    description: "The weather of a city",
    inputSchema: jsonSchema<{ city: string }>({ type: "object", properties: { city: { type: "string" } } }),
    execute: async ({ city }) => `${city}: fog`,
  }),
};

test("real providers: a loop with a tool, streamed and whole, is free the second time", async () => {
  const anthropic = createAnthropic({ baseURL: upstream.url, apiKey: "sk-ant" })("claude-m");
  const openai = createOpenAI({ baseURL: upstream.url, apiKey: "sk-open" }).chat("m");
  for (const base of [openai, anthropic]) {
    const model = wrapLanguageModel({ model: base, middleware: middleware() });
    const ask = {
      model,
      maxOutputTokens: 100,
      prompt: "What is the weather?",
      tools: WEATHER,
      stopWhen: stepCountIs(3),
    };
    upstream.calls.length = 0;
    const first = streamText(ask);
    const [text, steps] = [await first.text, await first.steps];
    assert.equal(upstream.calls.length, 2);
    const second = streamText(ask);
    assert.equal(await second.text, text);
    assert.match(text, /^Answer [0-9a-f]{8}$/);
    assert.deepEqual(
      (await second.steps).map((step) => [step.toolCalls[0]?.toolCallId, step.usage.totalTokens]),
      steps.map((step) => [step.toolCalls[0]?.toolCallId, step.usage.totalTokens]),
    );
    assert.equal(upstream.calls.length, 2);
    const whole = await generateText(ask);
    assert.equal(upstream.calls.length, 4);
    assert.deepEqual((await generateText(ask)).text, whole.text);
    assert.equal(upstream.calls.length, 4);
  }
});
