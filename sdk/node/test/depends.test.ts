// What a search in OpenCode may depend on: everything that ripgrep sees, or it is not kept.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { searchDependencies } from "../src/opencode/depends.js";
import { scratch } from "./scratch.js";

function folder(files: string[], isRepository: boolean): string {
  const root = scratch();
  for (const path of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), path === ".gitignore" ? "build/\n" : path);
  }
  if (isRepository) repository(root);
  return root;
}

function repository(root: string): void {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", root, "-c", "user.name=t", "-c", "user.email=t@localhost", ...args]);
  git("init", "-q");
  git("add", "-A");
  git("commit", "-q", "--allow-empty", "-m", "first");
}

const FILES = ["a.py", "lib/b.py", "build/c.js", ".gitignore"];

async function areAll(root: string, from = root): Promise<boolean | undefined> {
  const found = await searchDependencies(from, root);
  assert.deepEqual(found?.deps, [{ type: "git", path: root }]);
  return found?.areAll();
}

test("a repository: its state, from whatever folder of it", async () => {
  const root = folder(FILES, true);
  writeFileSync(join(root, "lib/new.py"), "");
  assert.equal(await areAll(root), true);
  assert.equal(await areAll(root, join(root, "lib")), true);
});

test("what git does not see but ripgrep does is not kept", async () => {
  for (const name of [".ignore", "lib/.rgignore", ".gitmodules"]) {
    assert.equal(await areAll(folder([...FILES, name], true)), false, name);
  }
  const root = folder(FILES, true);
  assert.equal(await areAll(root, join(root, "build")), false, "a folder that git ignores, asked for");
  mkdirSync(join(root, "lib/inner"));
  repository(join(root, "lib/inner"));
  assert.equal(await areAll(root), false, "a repository inside");
});

test("no repository: the names and the files, if they are few", async () => {
  const root = folder(["a.py", "lib/b.py"], false);
  const found = await searchDependencies(root, "/");
  assert.deepEqual(found?.deps.map((one) => one.type === "value" || one.path).sort(), [
    root,
    join(root, "a.py"),
    join(root, "lib/b.py"),
  ]);
  const many = folder(
    Array.from({ length: 201 }, (_, n) => `${n}.txt`),
    false,
  );
  assert.equal(await searchDependencies(many, "/"), undefined);
});
