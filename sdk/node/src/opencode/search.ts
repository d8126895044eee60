// The tools `grep` and `glob`: ripgrep, in the order of the paths. OpenCode's own take them in the order in which
// ripgrep's threads find them, so that the same search gives another text, and the next LLM call is another one.
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { ToolContext } from "@opencode-ai/plugin";
import type { Target } from "./place.js";
import type { ToolOutput } from "./read.js";

const LIMIT = 100;
const MAX_LINE = 2000;

/** ripgrep in the path, or the one that OpenCode has fetched; undefined: leave searching to OpenCode. */
export function findRipgrep(): string | undefined {
  const data = process.env.XDG_DATA_HOME ?? join(homedir(), ".local", "share");
  const folders = [...(process.env.PATH ?? "").split(delimiter), join(data, "opencode", "bin")];
  return folders.map((folder) => join(folder, "rg")).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface GrepArguments {
  pattern: string;
  path?: string;
  include?: string;
}

export async function grep(rg: string, args: GrepArguments, where: Target, signal: AbortSignal): Promise<ToolOutput> {
  const folder = where.kind === "directory" ? where.path : dirname(where.path);
  const flags = ["--no-config", "--json", "--hidden", "--no-messages", "--sort=path", "--glob=!**/.git/**"];
  if (args.include) flags.push(`--glob=${args.include}`);
  const what = where.kind === "file" ? where.path : ".";
  const found = await collect(rg, [...flags, "--", args.pattern, what], folder, signal, parseMatch);
  const none = { title: args.pattern, metadata: { matches: 0, truncated: false }, output: "No files found" };
  if (found.items.length === 0) return none;
  const note = found.truncated ? " (more matches available)" : "";
  const lines = [`Found ${found.items.length} matches${note}`];
  let last = "";
  for (const match of found.items) {
    const path = resolve(folder, match.path);
    if (path !== last) lines.push(...(last ? [""] : []), `${path}:`);
    last = path;
    lines.push(`  Line ${match.line}: ${match.text}`);
  }
  if (found.truncated) lines.push("", "(Results truncated. Consider using a more specific path or pattern.)");
  const metadata = { matches: found.items.length, truncated: found.truncated };
  return { title: args.pattern, metadata, output: lines.join("\n") };
}

interface Match {
  path: string;
  line: number;
  text: string;
}

function parseMatch(line: string): Match | undefined {
  const record = JSON.parse(line) as {
    type: string;
    data: { path: { text?: string }; lines: { text?: string }; line_number: number };
  };
  if (record.type !== "match" || record.data.path.text === undefined) return undefined;
  const text = record.data.lines.text ?? "";
  const short = text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}...` : text;
  return { path: record.data.path.text, line: record.data.line_number, text: short };
}

export interface GlobArguments {
  pattern: string;
  path?: string;
}

export async function glob(
  rg: string,
  args: GlobArguments,
  where: Target,
  context: ToolContext,
): Promise<ToolOutput> {
  if (where.kind === "file") throw new Error(`glob path must be a directory: ${where.path}`);
  const flags = ["--no-config", "--files", "--sort=path", `--glob=${args.pattern}`, "--glob=!**/.git/**", "."];
  const found = await collect(rg, flags, where.path, context.abort, (line) => line);
  const lines = found.items.map((path) => resolve(where.path, path));
  const count = lines.length;
  if (count === 0) lines.push("No files found");
  if (found.truncated) {
    const advice = "Consider using a more specific path or pattern.";
    lines.push("", `(Results are truncated: showing first ${LIMIT} results. ${advice})`);
  }
  const title = relative(context.worktree, where.path);
  return { title, metadata: { count, truncated: found.truncated }, output: lines.join("\n") };
}

interface Collected<Item> {
  items: Item[];
  truncated: boolean;
}

function collect<Item>(
  rg: string,
  args: string[],
  cwd: string,
  signal: AbortSignal,
  parse: (line: string) => Item | undefined,
): Promise<Collected<Item>> {
  return new Promise((done, fail) => {
    const child = spawn(rg, args, { cwd, signal, stdio: ["ignore", "pipe", "pipe"] });
    const items: Item[] = [];
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (errors.length < 8192) errors += text;
    });
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => {
      const item = line && items.length < LIMIT ? parse(line) : undefined;
      if (item !== undefined) items.push(item);
      if (items.length >= LIMIT) child.kill();
    });
    child.on("error", fail);
    child.on("close", (code) => {
      const truncated = items.length >= LIMIT;
      // 1: no match; 2: some files could not be read, or the pattern is wrong and nothing was found.
      if (truncated || code === 0 || code === 1 || (code === 2 && items.length > 0)) done({ items, truncated });
      else fail(new Error(errors.trim() || `ripgrep failed with code ${code}`));
    });
  });
}
