// The real OpenCode, headless, before a scripted provider, with the real instance between them.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Client } from "payonce";
import { Instance } from "./instance.js";
import { opencode, type Setup, Workspace } from "./opencode.js";
import { type Call, type Said, Upstream } from "./upstream.js";

const PROMPT = "Explain calc.py";
const TOOLS = [
  { name: "read", arguments: { filePath: "calc.py" } },
  { name: "read", arguments: { filePath: "lib/util.py" } },
  { name: "grep", arguments: { pattern: "def " } },
  { name: "glob", arguments: { pattern: "**/*.py" } },
  { name: "read", arguments: { filePath: "." } },
];

// Uses every tool, then answers. A title is asked for without tools.
let refuses: (call: Call) => boolean = () => false;

function agent(call: Call): Said {
  const { body } = call;
  if (!body.tools?.length) return { text: "A title" };
  if (refuses(call)) return { status: 400 };
  const results = body.messages.filter((message) => message.role === "tool").length;
  const tool = TOOLS[results];
  return tool ? { tool } : { text: `Done: ${results} results.` };
}
const CALLS = TOOLS.length + 2;

const upstream = new Upstream(agent);
let instance: Instance;
let workspace: Workspace;
before(async () => {
  await upstream.start();
});
after(async () => {
  await instance?.stop();
  await upstream.stop();
});
beforeEach(async () => {
  refuses = () => false;
  await instance?.stop();
  instance = await new Instance(["--upstream", upstream.url, "--layers", "exact"]).start();
  workspace = new Workspace({
    "calc.py": "def add(a, b):\n    return a + b\n",
    "lib/util.py": "def noop():\n    pass\n",
    "lib/AGENTS.md": "Say please.\n",
  });
});

interface Session {
  calls: Call[];
  output: string;
}

async function session(prompt: string, more: Partial<Setup> = {}, exit = 0): Promise<Session> {
  upstream.calls.length = 0;
  const plugin = { url: instance.url, providers: ["scripted"] };
  const env = { XDG_RUNTIME_DIR: instance.home };
  const ran = await opencode({ workspace, baseURL: upstream.url, plugin, env, ...more }, prompt);
  assert.equal(ran.code, exit, ran.errors);
  return { calls: [...upstream.calls], output: ran.output };
}

/** Hits and misses of tool results. */
async function toolStats(): Promise<{ hits: number; misses: number; entries: number }> {
  const stats = await new Client({ url: instance.url, strict: true }).stats();
  const { hits = 0, misses = 0, entries = 0 } = stats?.layers.tool_result ?? {};
  return { hits, misses, entries };
}

const told = (call: Call | undefined) => JSON.stringify(call?.body.messages.at(-1)?.content);

test("an identical session costs no LLM call, another prompt does, a changed file what depends on it", async () => {
  const first = await session(PROMPT);
  assert.equal(first.calls.length, CALLS);
  assert.match(first.output, /Done: 5 results/);
  assert.deepEqual(await toolStats(), { hits: 0, misses: 5, entries: 5 });

  const again = await session(PROMPT);
  assert.equal(again.calls.length, 0);
  assert.equal(again.output, first.output);
  assert.deepEqual(await toolStats(), { hits: 5, misses: 5, entries: 5 });

  const other = await session("What is in calc.py?");
  assert.ok(other.calls.length >= CALLS - 1, `${other.calls.length} calls`); // the title may be asked for the same way
  assert.deepEqual(await toolStats(), { hits: 10, misses: 5, entries: 5 });

  workspace.write("calc.py", "def add(a, b):\n    return b + a\n");
  const changed = await session(PROMPT);
  // The title and the first step are the same; from the first result on, everything is another question.
  assert.equal(changed.calls.length, CALLS - 2);
  assert.match(told(changed.calls[0]), /return b \+ a/);
  const stats = await toolStats();
  assert.equal(stats.hits, 12, "lib/util.py and the folder are as they were"); // glob and grep: the repository is not
});

test("the model sees OpenCode's own tools and what they say", async () => {
  const own = (await session(PROMPT, { plugin: undefined as never })).calls;
  const ours = (await session(PROMPT)).calls;
  assert.equal(own.length, CALLS);
  assert.equal(ours.length, CALLS);
  const tools = (calls: Call[]) => calls.find((call) => call.body.tools?.length)?.body.tools;
  assert.deepEqual(tools(ours), tools(own));
  const results = (calls: Call[]) =>
    calls.at(-1)?.body.messages.flatMap((message) =>
      // Ripgrep's threads find files in any order; ours come by path.
      message.role === "tool" ? [String(message.content).split("\n").sort().join("\n")] : [],
    );
  assert.deepEqual(results(ours), results(own));
  assert.equal(results(ours)?.length, TOOLS.length);
  assert.match(results(ours)?.[1] ?? "", /Say please/);
});

test("what a failed turn has found is seen by nobody", async () => {
  const isLast = ({ body }: Call) =>
    body.messages.filter((message) => message.role === "tool").length === TOOLS.length;
  refuses = isLast;
  const ran = await session(PROMPT, {}, 1);
  refuses = () => false;
  assert.equal(ran.calls.length, CALLS);
  assert.deepEqual(await toolStats(), { hits: 0, misses: 5, entries: 0 });

  await session(PROMPT);
  assert.deepEqual(await toolStats(), { hits: 0, misses: 10, entries: 5 });
});

test("without an instance OpenCode works as ever", async () => {
  await instance.kill();
  const ran = await session(PROMPT);
  assert.equal(ran.calls.length, CALLS);
  assert.match(ran.output, /Done: 5 results/);
});

test("switched off, nothing is asked of the instance", async () => {
  await session(PROMPT, { env: { XDG_RUNTIME_DIR: instance.home, PAYONCE_OPENCODE: "off" } });
  const again = await session(PROMPT, { env: { XDG_RUNTIME_DIR: instance.home, PAYONCE_OPENCODE: "off" } });
  assert.equal(again.calls.length, CALLS);
  assert.deepEqual(await toolStats(), { hits: 0, misses: 0, entries: 0 });
});
