// Every example of the README runs, twice, and costs one call at most.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { environment, Instance } from "./instance.js";
import { Upstream } from "./upstream.js";

const PACKAGE = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const examples = [...readFileSync(`${PACKAGE}/README.md`, "utf8").matchAll(/```js\n([^`]+)```/g)].map(
  ([, code]) => code ?? "",
);

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

async function example(code: string): Promise<string> {
  const env = environment(instance.home, {
    PAYONCE_URL: instance.url,
    PAYONCE_TIMEOUT_MS: "30000",
    OPENAI_BASE_URL: upstream.url,
    OPENAI_API_KEY: "sk-readme",
  });
  const args = ["--input-type=module", "-e", code];
  const child = spawn(process.execPath, args, { cwd: PACKAGE, env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let errors = "";
  child.stdout.on("data", (part) => {
    out += part;
  });
  child.stderr.on("data", (part) => {
    errors += part;
  });
  assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0, errors);
  return out + errors;
}

test("there are four", () => assert.equal(examples.length, 4));

for (const [number, code] of examples.entries()) {
  test(`example ${number + 1}: ${code.split("\n")[0]}`, async () => {
    const before = upstream.calls.length;
    const first = await example(code);
    assert.ok(upstream.calls.length - before <= 1);
    let second = "";
    let paid = Number.POSITIVE_INFINITY;
    // On a machine that is busy with other things, a commit may take over its second.
    for (let n = 0; n < 5 && paid > 0; n++) {
      const paidBefore = upstream.calls.length;
      second = await example(code);
      paid = upstream.calls.length - paidBefore;
    }
    assert.equal(paid, 0, "another time was not free");
    // What tells whether it was a hit differs.
    const said = (text: string) => text.replace(/^(miss|hit)\n/m, "").replace(/from \d+ s ago: .*\n/s, "");
    assert.equal(said(second), said(first));
    if (second.includes("ago")) assert.match(second, /find uses/);
  });
}
