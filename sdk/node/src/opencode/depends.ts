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
const run = promisify(execFile);

/** Undefined: it can't be told, so the result must not be kept. */
export async function searchDependencies(root: string, worktree: string): Promise<Dependency[] | undefined> {
  if (existsSync(join(worktree, ".git")) && isBelow(worktree, root)) {
    return (await hasRepositoriesInside(worktree)) ? undefined : [git(worktree)];
  }
  const files = await filesBelow(root);
  return files && [dir(root), ...files.map(file)];
}

// Git does not look into them, but ripgrep does.
async function hasRepositoriesInside(worktree: string): Promise<boolean> {
  if (existsSync(join(worktree, ".gitmodules"))) return true;
  const args = ["-C", worktree, "ls-files", "--others", "--exclude-standard", "-z"];
  const listed = await run("git", args, { maxBuffer: 64 * 1024 * 1024 }).catch(() => undefined);
  return listed === undefined || listed.stdout.split("\0").some((path) => path.endsWith("/"));
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
