// Where a tool looks, and whether it may: the permissions are asked as OpenCode's own tools ask them.
import { realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { ToolContext } from "@opencode-ai/plugin";

export interface Target {
  path: string;
  kind: "file" | "directory" | "other" | undefined; // undefined: there is nothing
  size: number;
  /** Below the project. */
  isInside: boolean;
  /** Its content may be kept: what it is, when links are followed, is below the project, too. */
  mayBeKept: boolean;
}

export function target(given: string | undefined, context: ToolContext): Target {
  const path =
    given === undefined ? context.directory : isAbsolute(given) ? given : resolve(context.directory, given);
  const stat = statSync(path, { throwIfNoEntry: false });
  const kind = stat?.isDirectory() ? "directory" : stat?.isFile() ? "file" : stat ? "other" : undefined;
  const roots = [context.directory, context.worktree].filter((root) => root !== "/");
  const isInside = roots.some((root) => isBelow(root, path));
  const mayBeKept = isInside && stat !== undefined && roots.some((root) => isBelow(realpath(root), realpath(path)));
  return { path, kind, size: stat?.size ?? 0, isInside, mayBeKept };
}

function realpath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

export function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/** What is outside the project needs a permission of its own. */
export async function askOutside(where: Target, context: ToolContext): Promise<void> {
  if (where.isInside) return;
  const folder = where.kind === "directory" ? where.path : dirname(where.path);
  const pattern = join(folder, "*");
  const metadata = { filepath: where.path, parentDir: folder };
  await context.ask({ permission: "external_directory", patterns: [pattern], always: [pattern], metadata });
}
