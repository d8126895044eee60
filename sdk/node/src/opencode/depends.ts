// What a search depends on. In a repository: its commit and what is changed in it, which is what ripgrep sees, too,
// since both leave out ignored files. Elsewhere the names, and for grep the content, of the few files there are.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { dir, file, git } from "../deps.js";
import type { Dependency } from "../types.js";
import { isBelow } from "./place.js";

const MAX_FILES = 200;
const OWN_RULES = [".ignore", ".rgignore"];
const run = promisify(execFile);

export interface Dependencies {
  deps: Dependency[];
  /** Asked on a miss: whether they are all that the result depends on. What makes it false changes `deps`, too. */
  areAll(): Promise<boolean>;
}

/** Undefined: it can't be told. */
export async function searchDependencies(root: string, worktree: string): Promise<Dependencies | undefined> {
  if (existsSync(join(worktree, ".git")) && isBelow(worktree, root)) {
    return { deps: [git(worktree)], areAll: async () => !(await isIgnored(root, worktree)) && sees(worktree) };
  }
  const files = await filesBelow(root);
  return files && { deps: [dir(root), ...files.map(file)], areAll: async () => true };
}

const runGit = (worktree: string, ...args: string[]) =>
  run("git", ["-C", worktree, ...args], { maxBuffer: 64 * 1024 * 1024 });

// A folder that is ignored is searched all the same when it is asked for, and git knows nothing of it.
async function isIgnored(root: string, worktree: string): Promise<boolean> {
  if (root === worktree) return false;
  return runGit(worktree, "check-ignore", "-q", "--", root).then(
    () => true,
    (error: { code?: unknown }) => error.code !== 1,
  );
}

// Whether git sees all that ripgrep does: not inside of other repositories, nor what a file of ripgrep's own lets in.
async function sees(worktree: string): Promise<boolean> {
  if ([".gitmodules", ...OWN_RULES].some((name) => existsSync(join(worktree, name)))) return false;
  const rules = OWN_RULES.map((name) => `:(glob)**/${name}`);
  try {
    const others = await runGit(worktree, "ls-files", "--others", "--exclude-standard", "-z");
    if (others.stdout.split("\0").some((path) => path.endsWith("/"))) return false;
    return (await runGit(worktree, "ls-files", "--cached", "--others", "--", ...rules)).stdout === "";
  } catch {
    return false;
  }
}

async function filesBelow(root: string): Promise<string[] | undefined> {
  const files: string[] = [];
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) return undefined;
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else files.push(path);
      if (files.length + folders.length > MAX_FILES) return undefined;
    }
  }
  return files;
}
