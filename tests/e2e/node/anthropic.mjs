// The official Anthropic client for Node: plain, streamed, thinking and tools, token counts, a typed error.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { isHit, report, root } from "./check.mjs";

const client = new Anthropic({ baseURL: root, apiKey: "sk-ant-node", maxRetries: 0 });
const ask = { model: "claude-m", max_tokens: 2048, messages: [{ role: "user", content: "Where is Zürich?" }] };
const rich = {
  ...ask,
  thinking: { type: "enabled", budget_tokens: 1024 },
  tools: [{ name: "weather", input_schema: { type: "object", properties: {} } }],
};

// Plain, plain again, streamed: one call upstream.
const first = await client.messages.create(ask).withResponse();
const second = await client.messages.create(ask).withResponse();
assert.deepEqual([isHit(first.response), isHit(second.response)], [false, true]);
assert.deepEqual(first.data, second.data);
const third = await client.messages.stream(ask).finalMessage();
assert.deepEqual([third.id, third.content[0].text], [first.data.id, first.data.content[0].text]);

// Streamed first, with thinking and a tool; then plain.
const streamed = await client.messages.stream(rich).finalMessage();
const plain = await client.messages.create(rich).withResponse();
assert.equal(isHit(plain.response), true);
assert.deepEqual(plain.data.content, streamed.content);

const count = await client.messages.countTokens({ model: "claude-m", messages: ask.messages });

let failure = "none";
try {
  await client.messages.create(ask, { headers: { "X-Payonce-TTL": "soon" } });
} catch (error) {
  failure = error.constructor.name;
}
report({ text: first.data.content[0].text, tool: plain.data.content[1].id, tokens: count.input_tokens, failure });
