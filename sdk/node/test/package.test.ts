// The packages as users get them: packed, the second with the program inside, installed into an empty folder, used
// from there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { binary, environment } from "./instance.js";
import { scratch } from "./scratch.js";

const PACKAGE = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = scratch();

// npm's own settings, such as where packages come from, stay; what would configure Payonce does not.
const env = (): NodeJS.ProcessEnv => ({ ...environment(folder), HOME: process.env.HOME ?? folder });
const run = (program: string, args: string[], more: NodeJS.ProcessEnv = {}, cwd = folder) =>
  execFileSync(program, args, {
    cwd,
    env: { ...env(), ...more },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });

const VERSION = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")).version as string;
const PLATFORM = `payonce-${process.platform}-${process.arch}`;
const tarball = (name: string) => join(folder, `${name}-${VERSION}.tgz`);
const filesOf = (name: string) =>
  run("tar", ["-tzf", tarball(name)])
    .trim()
    .split("\n")
    .map((path) => path.replace(/^package\//, ""));

before(() => {
  const unpacked = join(folder, "unpacked", "bin");
  mkdirSync(unpacked, { recursive: true });
  symlinkSync(binary(), join(unpacked, "payonce"));
  run(process.execPath, [join(PACKAGE, "scripts", "pack.mjs"), folder, dirname(unpacked)]);
  writeFileSync(join(folder, "package.json"), '{"type":"module","private":true}');
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball("payonce"), tarball(PLATFORM)]);
});

test("they hold types, licence and the program, and neither sources nor tests", () => {
  const files = filesOf("payonce");
  for (const path of ["dist/index.js", "dist/index.d.ts", "dist/opencode.js", "LICENSE", "README.md"]) {
    assert.ok(files.includes(path), path);
  }
  assert.deepEqual(
    files.filter((path) => !/^(dist\/.*\.(js|d\.ts)|LICENSE|README\.md|package\.json)$/.test(path)),
    [],
  );
  assert.deepEqual(filesOf(PLATFORM).sort(), ["LICENSE", "package.json", "program/bin/payonce"]);
});

test("npx payonce runs the program that it carries", () => {
  assert.match(
    run("npx", ["payonce", "--version"], { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` }),
    /^payonce \d/,
  );
  assert.match(run("npx", ["payonce", "serve", "--help"]), /--upstream/);
});

test("every entry can be imported, without the frameworks", () => {
  const script = `import { Client, tool, wrap } from "payonce";
    import { payonceMiddleware } from "payonce/ai-sdk";
    import plugin from "payonce/opencode";
    console.log([Client, tool, wrap, payonceMiddleware, plugin.server].map((one) => typeof one).join());`;
  const said = run(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal(said.trim(), "function,function,function,function,function");
});

test("its types say what it does, to a strict compiler", () => {
  writeFileSync(
    join(folder, "consumer.ts"),
    `import { Client, file, tool, type Lookup } from "payonce";
     const found: Lookup<string> = await new Client().lookup<string>({ kind: "plan", parts: { task: "t" } });
     export const text: string = found.status === "hit" ? found.value : found.status === "stale" ? found.ticket : "";
     export const read = tool(async (path: string) => path.length, { deps: (path) => [file(path)] });
     export const length: Promise<number> = read("a");
     // @ts-expect-error: a miss has no value
     if (found.status === "miss") console.log(found.value);
     // @ts-expect-error: no such kind
     await new Client().lookup({ kind: "plans", parts: {} });
    `,
  );
  const tsc = join(PACKAGE, "node_modules", "typescript", "bin", "tsc");
  const types = join(PACKAGE, "node_modules", "@types");
  const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"];
  run(process.execPath, [tsc, ...flags, "--typeRoots", types, "consumer.ts"]);
});

test("wrap() starts the program that the package carries", () => {
  const script = `import { wrap } from "payonce";
    import { createServer } from "node:http";
    const upstream = createServer((request, response) => {
      request.resume().on("end", () => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ id: "c-1", object: "chat.completion", created: 1, model: "m",
          choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }));
      });
    }).listen(0, "127.0.0.1", async () => {
      const bare = { baseURL: \`http://127.0.0.1:\${upstream.address().port}/v1\`, fetch,
        withOptions(options) { return { ...this, ...options }; } };
      const client = wrap(bare);
      for (let n = 0; n < 2; n++) {
        const answer = await client.fetch(client.baseURL + "/chat/completions", { method: "POST",
          headers: { "content-type": "application/json", authorization: "Bearer sk-1" },
          body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hello" }] }) });
        console.log(answer.headers.get("cache-status").split(";")[1].trim());
      }
      process.exit(0);
    });`;
  const said = run(process.execPath, ["--input-type=module", "-e", script], { PATH: "/usr/bin:/bin" });
  assert.deepEqual(said.trim().split("\n"), ["fwd=miss", "hit"]);
});
