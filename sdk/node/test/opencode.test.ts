// The real OpenCode, headless, before a scripted provider, with the real instance between them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { Client } from "payonce";
import { Instance } from "./instance.js";
import { opencode, opencodeWith, PACKAGE, type Setup, skip, Workspace } from "./opencode.js";
import { ScriptedInstance, say } from "./scripted-instance.js";
import { type Call, type Said, Upstream } from "./upstream.js";

const PROMPT = "Explain calc.py";
const TOOLS: NonNullable<Said["tool"]>[] = [
  { name: "read", arguments: { filePath: "calc.py" } },
  { name: "read", arguments: { filePath: "lib/util.py" } },
  { name: "grep", arguments: { pattern: "def " } },
  { name: "glob", arguments: { pattern: "**/*.py" } },
  { name: "read", arguments: { filePath: "." } },
];

// OpenAI's are messages of their own, Anthropic's stand in the user's.
function resultsIn({ body }: Call): number {
  return JSON.stringify(body.messages).match(/"role":"tool"|"type":"tool_result"/g)?.length ?? 0;
}

// More of the same, for comparing them with OpenCode's own.
const ODD: typeof TOOLS = [
  { name: "read", arguments: { filePath: "calc.pyx" } },
  { name: "read", arguments: { filePath: "nothing/there.txt" } },
  { name: "read", arguments: { filePath: "long.txt", offset: 3, limit: 2 } },
  { name: "read", arguments: { filePath: "long.txt", offset: 99 } },
  { name: "read", arguments: { filePath: "many.txt" } },
  { name: "read", arguments: { filePath: "empty.txt" } },
  { name: "read", arguments: { filePath: "crlf.txt" } },
  { name: "read", arguments: { filePath: "zero.bin" } },
  { name: "read", arguments: { filePath: "lib", offset: 2, limit: 1 } },
  { name: "grep", arguments: { pattern: "nowhere to be found" } },
  { name: "grep", arguments: { pattern: "(unclosed" } },
  { name: "grep", arguments: { pattern: "def", path: "lib/util.py" } },
  { name: "grep", arguments: { pattern: "def", path: "lib", include: "*.py" } },
  { name: "grep", arguments: { pattern: "line", include: "many.txt" } },
  { name: "glob", arguments: { pattern: "*.none" } },
  { name: "glob", arguments: { pattern: "*.py", path: "calc.py" } },
  { name: "read", arguments: { filePath: "calc.py", offset: 0 } },
  { name: "glob", arguments: { pattern: "many/*" } },
];
let steps = TOOLS;

// Uses every tool, then answers. A title is asked for without tools.
let refuses: (call: Call) => boolean = () => false;

function agent(call: Call): Said {
  const { body } = call;
  if (!body.tools?.length) return { text: "A title" };
  if (refuses(call)) return { status: 400 };
  const results = resultsIn(call);
  const tool = steps[results];
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
  steps = TOOLS;
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
  const plugin = { url: instance.url, providers: ["scripted"], lookupTimeoutMs: 5000 };
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

test("an identical session costs no LLM call, another prompt does, a changed file what depends on it", {
  skip,
}, async () => {
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

test("another user, model or system text is another question; tools depend on the user alone", { skip }, async () => {
  workspace.write("AGENTS.md", "Be brief.\n");
  const first = await session(PROMPT);
  assert.equal(first.calls.length, CALLS);

  const otherModel = await session(PROMPT, { model: "n" });
  assert.equal(otherModel.calls.length, CALLS - 1, "all but the title, which the small model gives");
  assert.deepEqual(await toolStats(), { hits: 5, misses: 5, entries: 5 });

  workspace.write("AGENTS.md", "Be long.\n");
  const otherSystem = await session(PROMPT);
  assert.equal(otherSystem.calls.length, CALLS - 1);
  const { hits } = await toolStats();
  assert.equal(hits, 8, "the two files and the folder; the repository has changed");

  const plugin = { url: instance.url, providers: ["scripted"], credential: "sk-bob", lookupTimeoutMs: 5000 };
  const otherUser = await session(PROMPT, { apiKey: "sk-bob", plugin });
  assert.equal(otherUser.calls.length, CALLS);
  assert.equal((await toolStats()).hits, 8);
});

test("the same with Anthropic's dialect", { skip }, async () => {
  const anthropic = { sdk: "@ai-sdk/anthropic" as const };
  const first = await session(PROMPT, anthropic);
  assert.equal(first.calls.length, CALLS);
  assert.ok(first.calls.every((call) => call.path === "/v1/messages"));
  const again = await session(PROMPT, anthropic);
  assert.deepEqual([again.calls.length, again.output], [0, first.output]);
});

test("the model sees OpenCode's own tools and what they say", { skip }, async () => {
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
  const found = ours.at(-1)?.body.messages.filter((message) => message.role === "tool")[2];
  assert.match(String(found?.content), /calc\.py:.*lib\/util\.py:/s, "in the order of the paths");
});

test("odd cases are told as OpenCode's own tools tell them", { skip }, async () => {
  steps = ODD;
  const line = "x".repeat(2500);
  workspace.write("long.txt", `one\n\n${line}\nfour\nfive\n`);
  workspace.write("many.txt", "a line of text\n".repeat(5000));
  workspace.write("empty.txt", "");
  workspace.write("crlf.txt", "one\r\ntwo\r\n");
  workspace.write("zero.bin", "a\0b");
  for (let n = 0; n < 120; n++) workspace.write(`many/${n}.txt`, `${n}`);
  const told = async (more?: Partial<Setup>) => {
    const { calls } = await session(PROMPT, more);
    return calls
      .at(-1)
      ?.body.messages.flatMap((message) => (message.role === "tool" ? [String(message.content)] : []));
  };
  const own = await told({ plugin: undefined as never });
  const ours = await told();
  assert.equal(own?.length, ODD.length);
  for (const [index, tool] of ODD.entries()) {
    if (tool.name === "glob" && index === ODD.length - 1) {
      // Which hundred of them is by chance there.
      assert.equal(ours?.[index]?.split("\n").length, own?.[index]?.split("\n").length);
    } else assert.equal(ours?.[index], own?.[index], JSON.stringify(tool));
  }
});

test("what a failed turn has found is seen by nobody", { skip }, async () => {
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

test("without an instance OpenCode works as ever", { skip }, async () => {
  await instance.kill();
  const ran = await session(PROMPT);
  assert.equal(ran.calls.length, CALLS);
  assert.match(ran.output, /Done: 5 results/);
});

test("switched off, nothing is asked of the instance", { skip }, async () => {
  await session(PROMPT, { env: { XDG_RUNTIME_DIR: instance.home, PAYONCE_OPENCODE: "off" } });
  const again = await session(PROMPT, { env: { XDG_RUNTIME_DIR: instance.home, PAYONCE_OPENCODE: "off" } });
  assert.equal(again.calls.length, CALLS);
  assert.deepEqual(await toolStats(), { hits: 0, misses: 0, entries: 0 });
});

test("what the instance is told: the session's events, its run, its agent", { skip }, async () => {
  // Told by HTTP what belongs to LLM calls, by the socket what belongs to the agent API.
  const socket = await new ScriptedInstance((frame, connection) => {
    const answers: Record<string, unknown> = {
      L: { status: "miss", reason: "cold", ticket: `t-${socket.frames.length}` },
      C: { status: "stored", entries: 1 },
    };
    say(connection, frame.verb, answers[frame.verb] ?? { status: "ok" });
  }).start();
  const plugin = { url: upstream.root, providers: ["scripted"], scope: "session", versions: { kb: "7" } };
  try {
    const { calls } = await session(PROMPT, { plugin, env: { PAYONCE_SOCKET: socket.path } });
    const headers = calls.map((call) => call.headers["x-payonce-version"]).sort();
    assert.deepEqual([...new Set(headers)], ["kb=7, agent=build", "kb=7, agent=title"]);
    const id = /^session:(ses_\w+)$/.exec(String(calls[0]?.headers["x-payonce-scope"]))?.[1];
    assert.ok(id, JSON.stringify(calls[0]?.headers));

    const told = socket.frames.map(({ verb, body }) => ({ verb, body: JSON.parse(body) }));
    const hints = told.filter((frame) => frame.verb === "H").map((frame) => frame.body);
    assert.deepEqual(
      hints.slice(1, 4).map((hint) => [hint.session, hint.event]),
      [
        [id, "open"],
        [id, "turn"],
        [id, "waiting"],
      ],
    );
    const lookups = told.filter((frame) => frame.verb === "L").map((frame) => frame.body);
    assert.deepEqual(
      lookups.map((lookup) => lookup.parts.tool),
      TOOLS.map((tool) => tool.name),
    );
    const run = hints[2].run;
    assert.ok(
      lookups.every((lookup) => lookup.run === run && lookup.scope === `session:${id}` && lookup.versions.kb),
    );
    assert.deepEqual(lookups[0].deps, [{ type: "file", path: `${workspace.project}/calc.py` }]);
    assert.deepEqual(lookups[2].deps, [{ type: "git", path: workspace.project }]);
    const commits = told.filter((frame) => frame.verb === "C").map((frame) => frame.body);
    assert.deepEqual(
      commits.map((commit) => commit.outcome),
      [...TOOLS.map(() => "pending"), "success"],
    );
    assert.equal(commits.at(-1).run, run);
  } finally {
    await socket.stop();
  }
});

test("the guide's configuration, as it stands there", { skip }, async () => {
  const guide = readFileSync(join(PACKAGE, "../../docs/agents/opencode.md"), "utf8");
  const file = /```json\n([^`]+)```/.exec(guide)?.[1] ?? "";
  upstream.calls.length = 0;
  const env = { PAYONCE_URL: instance.url, XDG_RUNTIME_DIR: instance.home, ANTHROPIC_API_KEY: "sk-ant-guide" };
  for (let n = 0; n < 2; n++) {
    const ran = await opencodeWith(file, workspace, env, ["-m", "anthropic/claude-sonnet-4-5", PROMPT]);
    assert.equal(ran.code, 0, ran.errors);
    assert.match(ran.output, /Done: 5 results/);
    assert.equal(upstream.calls.length, CALLS, "the second time is free");
  }
  assert.equal(upstream.calls[0]?.headers["x-api-key"], "sk-ant-guide");
});
