// The official OpenAI client for Node: plain, streamed, tools, Responses, embeddings, a typed error.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { isHit, report, root } from "./check.mjs";

const client = new OpenAI({ baseURL: `${root}/v1`, apiKey: "sk-test-node", maxRetries: 0 });
const ask = { model: "m", temperature: 0, messages: [{ role: "user", content: "Where is Zürich?" }] };
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

// Plain, plain again, streamed: one call upstream.
const first = await client.chat.completions.create(ask).withResponse();
const second = await client.chat.completions.create(ask).withResponse();
assert.deepEqual([isHit(first.response), isHit(second.response)], [false, true]);
assert.deepEqual(first.data, second.data);
const third = await client.chat.completions.create({ ...ask, stream: true }).withResponse();
assert.equal(isHit(third.response), true);
assert.equal(await textOf(third.data), first.data.choices[0].message.content);

// Streamed first, with tools; then plain.
const streamed = await client.chat.completions.stream({ ...ask, tools }).finalChatCompletion();
const plain = await client.chat.completions.create({ ...ask, tools }).withResponse();
assert.equal(isHit(plain.response), true);
const [calledStreamed, calledPlain] = [streamed, plain.data].map((one) => one.choices[0].message.tool_calls[0]);
assert.equal(calledStreamed.id, calledPlain.id);
assert.equal(calledStreamed.function.arguments, calledPlain.function.arguments);

// Responses, both forms.
const response = await client.responses.create({ model: "m", input: "Hi" });
const events = [];
for await (const event of await client.responses.create({ model: "m", input: "Hi", stream: true })) events.push(event);
assert.equal(events.at(-1).type, "response.completed");
assert.equal(events.at(-1).response.id, response.id);

const vectors = await client.embeddings.create({ model: "e", input: ["a", "b"] });
assert.equal(vectors.data.length, 2);

let failure = "none";
try {
  await client.chat.completions.create(ask, { headers: { "X-Payonce-TTL": "soon" } });
} catch (error) {
  failure = error.constructor.name;
}
report({ text: first.data.choices[0].message.content, call: calledPlain.id, response: response.id, failure });
