// What the client does when the instance is away, slow, wrong, or in the middle of something.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as http from "node:http";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { Client, type ClientOptions, type PayonceError } from "payonce";
import { ScriptedInstance, say, until } from "./scripted-instance.js";

const LOOKUP = { kind: "tool_result", parts: { tool: "read" } } as const;

async function scripted(...[answer]: ConstructorParameters<typeof ScriptedInstance>): Promise<ScriptedInstance> {
  const instance = await new ScriptedInstance(answer).start();
  after(() => instance.stop());
  return instance;
}

test("answers go to their callers in the order of the requests, over one connection", async () => {
  const instance = await scripted((frame, connection) => {
    const { parts } = JSON.parse(frame.body);
    say(connection, "L", { status: "miss", ticket: `t-${parts.n}`, key: "k", reason: "cold" });
  });
  const client = new Client({ socket: instance.path, credential: "sk-a", strict: true, lookupTimeoutMs: 30_000 });
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  const found = await Promise.all(numbers.map((n) => client.lookup({ kind: "tool_result", parts: { n } })));
  assert.deepEqual(
    found.map((one) => one.status === "miss" && one.ticket),
    numbers.map((n) => `t-${n}`),
  );
  assert.equal(instance.connections, 1);
  assert.deepEqual(instance.frames[0], { verb: "K", body: '{"credential":"sk-a"}' });
});

test("no instance: a miss without a ticket, at once, and commit and abort do not throw", async () => {
  const errors: PayonceError[] = [];
  const client = new Client({ socket: "/nonexistent/payonce.sock", onError: (error) => errors.push(error) });
  await client.lookup(LOOKUP); // finds out that nobody is there
  const begun = performance.now();
  for (let n = 0; n < 100; n++) {
    const found = await client.lookup(LOOKUP);
    assert.deepEqual(found, { status: "miss", reason: "unavailable" });
  }
  // Not the 1 ms that it takes at most on a quiet machine, but far below what a connection would be waited for.
  assert.ok((performance.now() - begun) / 100 < 10, "lookups without an instance wait for something");
  assert.deepEqual(await client.commit({ ticket: "t", value: 1 }), { status: "dropped", reason: "unavailable" });
  assert.deepEqual(await client.commit({ ticket: undefined, value: 1 }), { status: "dropped", reason: "no_ticket" });
  assert.deepEqual(await client.abort({ run: "r" }), { status: "dropped", reason: "unavailable" });
  assert.equal(await client.stats(), undefined);
  assert.ok(errors.every((error) => error.type === "unavailable") && errors.length === 104, `${errors.length}`);
});

test("the very first lookup without an instance is a miss at once, by HTTP, too", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const client = new Client({ url: `http://127.0.0.1:${port}` });
  const begun = performance.now();
  assert.equal((await client.lookup(LOOKUP)).status, "miss");
  assert.ok(performance.now() - begun < 200);
});

test("strict: what fails throws", async () => {
  const client = new Client({ socket: "/nonexistent/payonce.sock", strict: true });
  await assert.rejects(client.lookup(LOOKUP), { name: "PayonceError", type: "unavailable" });
  await assert.rejects(client.commit({ ticket: "t", value: 1 }), { type: "unavailable" });
});

test("an instance that comes back is used again after a while", async () => {
  const client = new Client({ socket: "/nonexistent/payonce.sock", retryAfterMs: 0 });
  assert.equal((await client.lookup(LOOKUP)).status, "miss");
  const instance = await scripted((_, connection) => say(connection, "L", { status: "hit", value: 1 }));
  const other = new Client({ socket: instance.path, retryAfterMs: 0, lookupTimeoutMs: 30_000 });
  assert.equal((await other.lookup(LOOKUP)).status, "hit");
  await instance.stop();
  assert.equal((await other.lookup(LOOKUP)).status, "miss");
  await instance.start();
  assert.equal((await other.lookup(LOOKUP)).status, "hit");
});

test("a lookup over 50 ms is a miss, and its ticket is given back", async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const instance = await scripted(async (frame, connection) => {
    if (frame.verb === "L") await held;
    say(connection, frame.verb, frame.verb === "L" ? { status: "miss", ticket: "t-late" } : { status: "aborted" });
  });
  const client = new Client({ socket: instance.path });
  const begun = performance.now();
  assert.deepEqual(await client.lookup(LOOKUP), { status: "miss", reason: "unavailable" });
  const took = performance.now() - begun;
  assert.ok(took >= 45 && took < 500, `${took} ms`);
  release();
  await until(() => instance.frames.some((frame) => frame.verb === "A"), "the late ticket is aborted");
  assert.equal(instance.frames.at(-1)?.body, '{"ticket":"t-late"}');
});

// What the constructor reads, as long as this one client is made.
function told(bound: string | undefined, options: ClientOptions = {}): Client {
  const before = process.env.PAYONCE_TIMEOUT_MS;
  if (bound === undefined) delete process.env.PAYONCE_TIMEOUT_MS;
  else process.env.PAYONCE_TIMEOUT_MS = bound;
  try {
    return new Client(options);
  } finally {
    if (before === undefined) delete process.env.PAYONCE_TIMEOUT_MS;
    else process.env.PAYONCE_TIMEOUT_MS = before;
  }
}

test("PAYONCE_TIMEOUT_MS is the bound of a lookup, unless the option is", async () => {
  const instance = await scripted(() => {}); // never answers
  for (const [bound, lookupTimeoutMs, within] of [
    [undefined, undefined, "50"],
    ["", undefined, "50"],
    ["120", undefined, "120"],
    ["007", undefined, "7"],
    ["12.5", undefined, "12.5"],
    ["30000", 9, "9"],
    ["soon", 9, "9"],
  ] as const) {
    const options = lookupTimeoutMs === undefined ? {} : { lookupTimeoutMs };
    const client = told(bound, { socket: instance.path, strict: true, ...options });
    const begun = performance.now();
    const message = `lookup: no answer within ${within} ms`;
    await assert.rejects(client.lookup(LOOKUP), { type: "timeout", message });
    assert.ok(performance.now() - begun >= Number(within) - 5);
  }
});

test("a PAYONCE_TIMEOUT_MS that is no positive number is told where the client is made", () => {
  const wrong = "soon|0|0.0|-5|+5|nan|NaN|inf|Infinity|1e3|0x10|1_000| 50|50 |5.|.5|.|5.5.5|50ms|\u0665";
  for (const bound of [...wrong.split("|"), "9".repeat(400)]) {
    const message = `PAYONCE_TIMEOUT_MS is '${bound}', no positive number of milliseconds, such as 200`;
    assert.throws(() => told(bound), { name: "TypeError", message });
  }
});

test("a bound beyond what a timer takes is no error", async () => {
  const instance = await scripted((_, connection) => say(connection, "L", { status: "hit", value: 1 }));
  const options = { socket: instance.path, strict: true };
  const forEver = new Client({ ...options, lookupTimeoutMs: Number.POSITIVE_INFINITY });
  for (const client of [told("9".repeat(300), options), forEver]) {
    assert.equal((await client.lookup(LOOKUP)).status, "hit");
  }
});

test("an instance that never answers is left alone after three lookups", async () => {
  const instance = await scripted(() => {});
  const client = new Client({ socket: instance.path, lookupTimeoutMs: 20 });
  for (let n = 0; n < 3; n++) await client.lookup(LOOKUP);
  await until(() => instance.frames.length === 3, "all three have come");
  await client.lookup(LOOKUP);
  assert.equal(instance.frames.length, 3); // the fourth was not asked
});

test("an error of the instance is told and does not end the connection", async () => {
  const errors: PayonceError[] = [];
  const instance = await scripted((frame, connection) => {
    if (frame.verb === "C") {
      say(connection, "X", { error: { type: "unknown_ticket", message: "no such ticket", status: 404 } });
    } else say(connection, "L", { status: "hit", value: [1] });
  });
  const onError = (error: PayonceError) => errors.push(error);
  const client = new Client({ socket: instance.path, lookupTimeoutMs: 30_000, onError });
  assert.deepEqual(await client.commit({ ticket: "t", value: 1 }), { status: "dropped", reason: "unknown_ticket" });
  assert.equal((await client.lookup(LOOKUP)).status, "hit");
  assert.deepEqual([errors[0]?.type, errors[0]?.status, errors.length], ["unknown_ticket", 404, 1]);
  assert.equal(instance.connections, 1);
});

test("answers that are no frames, or cut, are misses", async () => {
  for (const bytes of ["HTTP/1.1 200 OK\r\n\r\n", "L\0\0\0\x02{]", "L\0\0\0\x09{"]) {
    const instance = await scripted((_, connection) => void connection.end(bytes));
    const client = new Client({ socket: instance.path });
    assert.deepEqual(await client.lookup(LOOKUP), { status: "miss", reason: "unavailable" }, JSON.stringify(bytes));
  }
});

test("an answer in many pieces is put together", async () => {
  const instance = await scripted(async (_, connection) => {
    const value = "ü".repeat(50_000);
    const body = Buffer.from(JSON.stringify({ status: "hit", value }));
    const frame = Buffer.concat([Buffer.from("L\0\0\0\0", "latin1"), body]);
    frame.writeUInt32BE(body.length, 1);
    for (let at = 0; at < frame.length; at += 7001) {
      connection.write(frame.subarray(at, at + 7001));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const found = await new Client({ socket: instance.path, strict: true, lookupTimeoutMs: 30_000 }).lookup(LOOKUP);
  assert.equal(found.status === "hit" && found.value, "ü".repeat(50_000));
});

test("a lookup that waits has a connection of its own, so that others are not held up", async () => {
  const instance = await scripted(async (frame, connection) => {
    if (frame.body.includes('"wait"')) await new Promise((resolve) => setTimeout(resolve, 200));
    say(connection, "L", { status: "hit", value: frame.body.includes('"wait"') });
  });
  const client = new Client({ socket: instance.path, strict: true, lookupTimeoutMs: 30_000 });
  const slow = client.lookup({ ...LOOKUP, wait: 1 });
  const quick = await client.lookup(LOOKUP);
  assert.equal(quick.status === "hit" && quick.value, false);
  const waited = await slow;
  assert.equal(waited.status === "hit" && waited.value, true);
});

test("HTTP: a kept connection that the instance has closed is replaced", async () => {
  const used = new WeakSet<object>();
  const server = http.createServer((request, response) => {
    if (used.has(request.socket)) return void request.socket.resetAndDestroy();
    used.add(request.socket);
    request.resume().on("end", () => response.end('{"status":"hit","value":1}'));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const { port } = server.address() as { port: number };
  const client = new Client({ url: `http://127.0.0.1:${port}`, strict: true, lookupTimeoutMs: 30_000 });
  for (let n = 0; n < 5; n++) assert.equal((await client.lookup(LOOKUP)).status, "hit");
});

test("what is no JSON is told, not thrown", async () => {
  const errors: PayonceError[] = [];
  const client = new Client({ socket: "/nonexistent/payonce.sock", onError: (error) => errors.push(error) });
  assert.equal((await client.lookup({ kind: "plan", parts: { n: 1n } })).status, "miss");
  assert.equal(errors[0]?.type, "not_json");
});

test("an open connection keeps no process alive; a commit that is on its way does", async () => {
  const instance = await scripted(async (frame, connection) => {
    if (frame.verb === "C") await new Promise((resolve) => setTimeout(resolve, 100));
    say(connection, frame.verb, { status: frame.verb === "L" ? "hit" : "stored", value: 1 });
  });
  const script = `import { Client } from "payonce";
    const client = new Client({ socket: ${JSON.stringify(instance.path)}, strict: true, lookupTimeoutMs: 30_000 });
    console.log((await client.lookup({ kind: "plan", parts: {} })).status);
    client.commit({ ticket: "t", value: 1 }).then((done) => console.log(done.status));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (part) => {
    out += part;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.deepEqual([code, out], [0, "hit\nstored\n"]);
});
