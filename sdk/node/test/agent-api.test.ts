// The agent API of the real instance, by the Unix socket and by HTTP.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, type ClientOptions, dir, file, git, type LookupRequest, tool, value } from "payonce";
import { Instance } from "./instance.js";
import { scratch } from "./scratch.js";

let instance: Instance;
before(async () => {
  instance = await new Instance(["--upstream", "http://127.0.0.1:9/v1", "--layers", "none"]).start();
});
after(() => instance.stop());

const folder = scratch();
const write = (name: string, text: string) => {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

let named = 0;
const unique = (): LookupRequest => {
  named += 1;
  return { kind: "plan", parts: { task: `task ${named}` }, semantic: false };
};

function suite(name: string, more: () => ClientOptions): void {
  const client = (who = "ann") =>
    new Client({ credential: `sk-${who}-${name}`, strict: true, lookupTimeoutMs: 30_000, ...more() });

  test("miss, commit, hit: the value as it was, with where it is from", async () => {
    const ann = client();
    const request = { ...unique(), versions: { kb: "7" }, explain: true };
    const missed = await ann.lookup(request);
    assert.ok(missed.status === "miss" && missed.ticket && missed.reason === "cold", JSON.stringify(missed));
    const plan = { steps: ["äö", 1.5, null, { deep: [true] }], text: 'q"\n' };
    const stored = await ann.commit({ ticket: missed.ticket, value: plan });
    assert.equal(stored.status, "stored");
    const found = await ann.lookup<typeof plan>(request);
    assert.ok(found.status === "hit");
    assert.deepEqual(found.value, plan);
    assert.deepEqual(found.versions, { kb: "7" });
    assert.equal(stored.status === "stored" && stored.entry, found.entry);
    assert.equal((await ann.lookup({ ...request, versions: { kb: "8" } })).status, "miss");
    await assert.rejects(ann.commit({ ticket: missed.ticket, value: 1 }), { type: "unknown_ticket", status: 404 });
  });

  test("another credential sees nothing and can commit nothing", async () => {
    const request = unique();
    await client().cached(request, () => 1);
    const bob = client("bob");
    const missed = await bob.lookup(request);
    assert.equal(missed.status, "miss");
    const ticket = missed.status === "miss" ? missed.ticket : undefined;
    await assert.rejects(client().commit({ ticket, value: 2 }), { status: 404 });
    await bob.abort({ ticket });
  });

  test("cached: computed once, not stored when it throws or is no JSON", async () => {
    const ann = client();
    const request = unique();
    let calls = 0;
    for (let n = 0; n < 3; n++) assert.equal(await ann.cached(request, () => ++calls), 1);
    const failing = unique();
    for (let n = 0; n < 2; n++) {
      await assert.rejects(
        ann.cached(failing, () => {
          calls += 1;
          throw new Error("no plan");
        }),
        /no plan/,
      );
    }
    assert.equal(calls, 3);
    const odd = unique();
    for (let n = 0; n < 2; n++) assert.ok((await ann.cached(odd, () => new Date(n))) instanceof Date);
    assert.equal((await ann.lookup(odd)).status, "miss");
    const skipped = unique();
    const computed = await ann.cached(skipped, (recorder) => {
      recorder.skip();
      return 7;
    });
    assert.equal(computed, 7);
    assert.equal((await ann.lookup(skipped)).status, "miss");
  });

  test("a changed dependency makes it stale, and says which; equal bytes do not", async () => {
    const ann = client();
    const path = write("calc.py", "a = 1\n");
    const other = write("other.py", "b = 1\n");
    const request = { ...unique(), deps: [file(path), file(other), value("epoch", "1")] };
    await ann.cached(request, () => "plan");
    utimesSync(path, 1, 1);
    assert.equal((await ann.lookup(request)).status, "hit");
    writeFileSync(path, "a = 2\n");
    const stale = await ann.lookup(request);
    assert.ok(stale.status === "stale");
    assert.deepEqual(stale.stale, [{ type: "file", path }]);
    await ann.commit({ ticket: stale.ticket, value: "new plan" });
    const fresh = await ann.lookup(request);
    assert.equal(fresh.status === "hit" && fresh.value, "new plan");
    const epoch = { ...request, deps: [...request.deps.slice(0, 2), value("epoch", "2")] };
    assert.equal((await ann.lookup(epoch)).status, "stale");
  });

  test("directories and repositories", async () => {
    const ann = client();
    write(`tree-${name}/a.txt`, "1");
    const names = { ...unique(), deps: [dir(join(folder, `tree-${name}`))] };
    await ann.cached(names, () => 1);
    write(`tree-${name}/a.txt`, "2");
    assert.equal((await ann.lookup(names)).status, "hit");
    write(`tree-${name}/sub/b.txt`, "1");
    assert.equal((await ann.lookup(names)).status, "stale");

    const repository = join(folder, `repository-${named}`);
    mkdirSync(repository);
    const run = (...args: string[]) =>
      execFileSync("git", ["-C", repository, "-c", "user.name=t", "-c", "user.email=t@localhost", ...args]);
    run("init", "-q");
    writeFileSync(join(repository, "a.txt"), "1");
    run("add", "-A");
    run("commit", "-qm", "first");
    const state = { ...unique(), deps: [git(repository)] };
    await ann.cached(state, () => 1);
    assert.equal((await ann.lookup(state)).status, "hit");
    writeFileSync(join(repository, "a.txt"), "2");
    assert.equal((await ann.lookup(state)).status, "stale");
  });

  test("what was found out while computing counts as well", async () => {
    const ann = client();
    const path = write("found.py", "1");
    const request = unique();
    await ann.cached(request, (recorder) => {
      recorder.depends(file(path));
      return readFileSync(path, "utf8");
    });
    assert.equal((await ann.lookup(request)).status, "hit");
    writeFileSync(path, "2");
    assert.equal((await ann.lookup(request)).status, "stale");
  });

  test("a run: its own entries at once, others' when it has succeeded, nobody's when it failed", async () => {
    const [ann, other] = [client(), client()];
    const [good, bad] = [unique(), unique()];
    await ann.run(async () => {
      await ann.cached(good, () => "g");
      const own = await ann.lookup(good);
      assert.ok(own.status === "hit" && own.pending);
      assert.equal((await other.run(() => other.lookup(good))).status, "miss");
    });
    assert.equal((await other.lookup(good)).status, "hit");
    await assert.rejects(
      ann.run(async () => {
        await ann.cached(bad, () => "b");
        throw new Error("tests failed");
      }),
      /tests failed/,
    );
    assert.equal((await ann.lookup(bad)).status, "miss");
  });

  test("many runs at once, some failing: nobody sees what a failed one made, or another question's value", async () => {
    const seen: { question: number; by: string; from: { question: number; by: string } }[] = [];
    const good = new Set<string>();
    const prefix = unique().parts.task;
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const one = client();
        const id = `many-${prefix}-${n}`;
        const body = async () => {
          for (let question = n % 7; question < 20; question += 7) {
            const request: LookupRequest = { kind: "plan", parts: { prefix, question }, semantic: false };
            const from = await one.cached(request, () => ({ question, by: id }));
            seen.push({ question, by: id, from });
          }
          if (n % 3 === 0) throw new Error("failed");
          good.add(id);
        };
        await one.run(body, { id }).catch((error: Error) => assert.equal(error.message, "failed"));
        one.close();
      }),
    );
    assert.ok(seen.length > 500 && good.size > 100);
    for (const { question, by, from } of seen) {
      assert.equal(from.question, question);
      assert.ok(from.by === by || good.has(from.by), `${by} saw what ${from.by} made`);
    }
    // On a busy machine the clients may have been too impatient to share; what the good ones made is there all the same.
    const late = client();
    const questions = Array.from({ length: 20 }, (_, question) => question);
    const found = await Promise.all(
      questions.map((question) => late.lookup({ kind: "plan", parts: { prefix, question }, semantic: false })),
    );
    assert.ok(
      found.some(({ status }) => status === "hit"),
      "what succeeded is given to others",
    );
  });

  test("tool: keyed by arguments and version, checked against its files", async () => {
    const ann = client();
    const path = write(`read-${named}.txt`, "one");
    let calls = 0;
    const execute = async (args: { path: string; lines?: number }) => {
      calls += 1;
      return readFileSync(args.path, "utf8");
    };
    const options = { name: `read-${named}`, client: ann, deps: (args: { path: string }) => [file(args.path)] };
    const read = tool(execute, options);
    assert.deepEqual([await read({ path }), await read({ path }), calls], ["one", "one", 1]);
    await read({ path, lines: 3 });
    assert.equal(calls, 2);
    await tool(execute, { ...options, version: "2" })({ path });
    assert.equal(calls, 3);
    writeFileSync(path, "two");
    assert.deepEqual([await read({ path }), calls], ["two", 4]);
  });

  test("one computes, the others wait", async () => {
    const request = { ...unique(), wait: 5 };
    let calls = 0;
    const compute = async () => {
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return calls;
    };
    const clients = Array.from({ length: 8 }, () => client());
    const values = await Promise.all(clients.map((one) => one.cached(request, compute)));
    assert.deepEqual(new Set(values), new Set([1]));
    assert.equal(calls, 1);
  });

  test("invalidate by entry, version, path and kind", async () => {
    const ann = client("invalidate");
    const path = write("inv.txt", "1");
    const request = { ...unique(), deps: [file(path)], versions: { kb: "9" } };
    const again = async (what: Parameters<Client["invalidate"]>[0]) => {
      await ann.cached(request, () => 1);
      assert.equal((await ann.lookup(request)).status, "hit");
      assert.deepEqual(await ann.invalidate(what), { status: "ok", removed: 1 }, JSON.stringify(what));
      assert.equal((await ann.lookup(request)).status, "miss");
    };
    for (const what of [{ version: "kb=9" }, { path }, { kind: "plan" as const }]) await again(what);
  });

  test("a secret is not stored", async () => {
    const ann = client();
    const found = await ann.lookup(unique());
    const ticket = found.status === "miss" ? found.ticket : undefined;
    const key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----";
    assert.deepEqual(await ann.commit({ ticket, value: { key } }), { status: "dropped", reason: "secret" });
  });

  test("hints and stats", async () => {
    const ann = client();
    for (const event of ["open", "turn", "waiting", "end"] as const) {
      assert.deepEqual(await ann.hint({ session: "7", event }), { status: "ok" });
    }
    const before = (await ann.stats())?.layers.plan?.hits ?? Number.NaN;
    const request = unique();
    await ann.cached(request, () => 1);
    await ann.lookup(request);
    assert.equal((await ann.stats())?.layers.plan?.hits, before + 1);
  });

  test("a malformed request is an error that says what is wrong", async () => {
    const bad = { ...unique(), deps: [{ type: "file" as const, path: "relative.py" }] };
    await assert.rejects(client().lookup(bad), { status: 400, message: /absolute/ });
    const unknown = { ...unique(), colour: "red" } as LookupRequest;
    await assert.rejects(client().lookup(unknown), { status: 400, message: /colour/ });
  });

  test("a large value comes back whole", async () => {
    const ann = client();
    const request = unique();
    const large = { text: "ü".repeat(1_000_000) };
    await ann.cached(request, () => large);
    const found = await ann.lookup<typeof large>(request);
    assert.ok(found.status === "hit" && found.value.text === large.text);
  });
}

describe("by the Unix socket", () => suite("socket", () => ({ socket: instance.socket })));
describe("by HTTP", () => suite("http", () => ({ url: instance.url })));

test("the socket is found by the URL", async () => {
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = instance.home;
  const { socketOf } = await import("../src/where.js");
  try {
    assert.equal(socketOf({ url: new URL(instance.url) }), instance.socket);
    assert.equal(socketOf({ url: new URL("http://127.0.0.1:1") }), undefined);
    assert.equal(socketOf({ url: new URL("https://payonce.example") }), undefined);
  } finally {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  }
});

test("stopped and started again: what was stored is there, what was pending is not", async () => {
  const client = new Client({
    socket: instance.socket,
    credential: "sk-crash",
    retryAfterMs: 0,
    lookupTimeoutMs: 30_000,
  });
  const [kept, pending] = [unique(), { ...unique(), run: "r" }];
  await client.cached(kept, () => "kept");
  await client.cached(pending, () => "pending");
  await instance.stop();
  assert.equal((await client.lookup(kept)).status, "miss");
  await instance.start();
  await instance.scanned();
  const found = await client.lookup(kept);
  assert.equal(found.status, "hit");
  assert.equal((await client.lookup(pending)).status, "miss");
});
