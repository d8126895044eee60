// The official clients, before a scripted provider, through a real instance: one that runs, one that is started, none.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { AzureOpenAI } from "openai";
import { wrap } from "payonce";
import { binary, environment, freePort, Instance } from "./instance.js";
import { scratch } from "./scratch.js";
import { until } from "./scripted-instance.js";
import { Upstream } from "./upstream.js";

const upstream = new Upstream();
let instance: Instance;
before(async () => {
  await upstream.start();
  instance = await new Instance(["--upstream", upstream.url, "--layers", "exact"]).start();
});
after(async () => {
  await instance.stop();
  await upstream.stop();
});
beforeEach(() => {
  upstream.calls.length = 0;
});

const chat = { model: "m", messages: [{ role: "user" as const, content: "Hello" }] };
const message = { ...chat, model: "claude-m", max_tokens: 100 };
const isHit = (response: Response) => response.headers.get("cache-status")?.startsWith("payonce; hit") ?? false;

test("an instance that runs: OpenAI and Anthropic, whole and streamed, with no other change", async () => {
  const openai = wrap(new OpenAI({ baseURL: upstream.url, apiKey: "sk-1", maxRetries: 0 }), { url: instance.url });
  assert.ok(openai instanceof OpenAI);
  const first = await openai.chat.completions.create(chat).withResponse();
  const second = await openai.chat.completions.create(chat).withResponse();
  assert.deepEqual([isHit(first.response), isHit(second.response)], [false, true]);
  assert.deepEqual(second.data, first.data);
  let text = "";
  for await (const chunk of await openai.chat.completions.create({ ...chat, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  assert.equal(text, first.data.choices[0]?.message.content);
  assert.equal(upstream.calls.length, 1);
  assert.equal(upstream.calls[0]?.headers.authorization, "Bearer sk-1");

  const anthropic = wrap(new Anthropic({ baseURL: upstream.root, apiKey: "sk-2", maxRetries: 0 }), {
    url: instance.url,
  });
  const asked = await anthropic.messages.create(message);
  assert.deepEqual((await anthropic.messages.stream(message).finalMessage()).content, asked.content);
  assert.equal(upstream.calls.length, 2);
});

test("another credential is another caller", async () => {
  const ask = (apiKey: string) =>
    wrap(new OpenAI({ baseURL: upstream.url, apiKey }), { url: instance.url }).chat.completions.create(chat);
  await ask("sk-ann");
  await ask("sk-bob");
  assert.equal(upstream.calls.length, 2);
});

test("an instance that is away: calls go to the provider", async () => {
  const client = wrap(new OpenAI({ baseURL: upstream.url, apiKey: "sk-1", maxRetries: 0 }), {
    url: `http://127.0.0.1:${await freePort()}`,
  });
  for (let n = 0; n < 2; n++) await client.chat.completions.create(chat);
  assert.equal(upstream.calls.length, 2);
  assert.equal(upstream.calls[0]?.headers.authorization, "Bearer sk-1");
});

test("what the instance does not answer for goes where it went", async () => {
  const client = wrap(new OpenAI({ baseURL: upstream.url, apiKey: "sk-1", maxRetries: 0 }), { url: instance.url });
  await assert.rejects(client.models.retrieve("m"), { status: 404 });
  await assert.rejects(client.files.create({ file: new File(["x"], "x"), purpose: "batch" }), { status: 404 });
  const azure = new AzureOpenAI({
    baseURL: upstream.url,
    apiKey: "k",
    apiVersion: "v",
    deployment: "d",
    maxRetries: 0,
  });
  await wrap(azure, { url: instance.url }).chat.completions.create(chat);
  assert.match(upstream.calls[0]?.path ?? "", /^\/v1\/deployments\/d\/chat\/completions\?api-version=v$/);
});

// A program of its own for each, since an instance that is started ends with its process.
function script(text: string, env: Record<string, string>) {
  const home = scratch();
  const prelude = `import { wrap } from "payonce"; import OpenAI, { AzureOpenAI } from "openai";
    const client = wrap(new OpenAI({ baseURL: ${JSON.stringify(upstream.url)}, apiKey: "sk-1", maxRetries: 0 }));
    const ask = async () => (await client.chat.completions.create(${JSON.stringify(chat)}).withResponse()).response
      .headers.get("cache-status");
    `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", prelude + text], {
    env: { ...environment(home), ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ran = { child, out: "" };
  child.stdout.on("data", (part) => {
    ran.out += part;
  });
  return ran;
}

const instances = async () => {
  const { execFileSync } = await import("node:child_process");
  const found = execFileSync("ps", ["-eo", "pid,args"]).toString();
  return found.split("\n").filter((line) => line.includes("payonce serve") && line.includes(upstream.url)).length;
};

test("none that runs: one is started, and ends with the process, even when that is killed", async () => {
  const ours = 1; // the instance of the other tests
  assert.equal(await instances(), ours);
  const ran = script("console.log(await ask()); console.log(await ask());", { PAYONCE_BINARY: binary() });
  const [code] = await once(ran.child, "close");
  assert.equal(code, 0);
  assert.match(ran.out, /^payonce; fwd=miss.*\npayonce; hit.*\n$/);
  assert.equal(upstream.calls.length, 1);
  const gone = async (what: string) => {
    const end = Date.now() + 60_000;
    while ((await instances()) !== ours) assert.ok(Date.now() < end, what);
  };
  await gone("it outlived a process that ended");

  const killed = script("console.log(await ask()); setInterval(() => {}, 1000);", { PAYONCE_BINARY: binary() });
  await until(() => killed.out.includes("payonce"), "the first answer");
  assert.ok((await instances()) > ours);
  killed.child.kill("SIGKILL");
  await gone("it outlived a process that was killed");
});

test("neither instance nor program: the client works as before", async () => {
  for (const PAYONCE_BINARY of ["/nonexistent/payonce", "/bin/false"]) {
    upstream.calls.length = 0;
    const ran = script("console.log(await ask()); console.log(await ask());", { PAYONCE_BINARY });
    const [code] = await once(ran.child, "close");
    assert.deepEqual([code, ran.out, upstream.calls.length], [0, "null\nnull\n", 2], PAYONCE_BINARY);
  }
});
