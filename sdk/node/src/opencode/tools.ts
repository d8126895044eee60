// read, grep and glob in place of OpenCode's own: the same arguments, permissions and words, looked up first.
import { relative } from "node:path";
import type { ToolContext, ToolDefinition } from "@opencode-ai/plugin";
import type { CachedRequest, Client } from "../client.js";
import { dir, file } from "../deps.js";
import type { Dependency } from "../types.js";
import { checkArguments } from "./arguments.js";
import { type Dependencies, searchDependencies } from "./depends.js";
import { Instructions } from "./instructions.js";
import { type PluginOptions, scopeOf, TOOLS, type ToolName } from "./options.js";
import { askOutside, type Target, target } from "./place.js";
import { type ReadArguments, readTarget, type ToolOutput } from "./read.js";
import { findRipgrep, type GlobArguments, type GrepArguments, glob, grep } from "./search.js";
import type { Sessions } from "./sessions.js";

// Part of every key: another output of the same tool is another tool.
const VERSION = "1";
export const MARK = "payonce:";
// A larger file costs more to check than to read, since `read` shows 50 KB of it at most.
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_GIVEN = 256;

export class CachedTools {
  readonly instructions = new Instructions();
  readonly #given = new Map<string, ToolOutput>(); // by call, until OpenCode has taken it

  constructor(
    private readonly client: Client,
    private readonly sessions: Sessions,
    private readonly options: PluginOptions,
  ) {}

  definitions(): Partial<Record<ToolName, ToolDefinition>> {
    const names = this.options.tools ?? TOOLS;
    const rg = findRipgrep();
    const made: Partial<Record<ToolName, ToolDefinition>> = {};
    const add = <Arguments>(name: ToolName, execute: (args: Arguments, at: ToolContext) => Promise<ToolOutput>) => {
      if (names.includes(name)) {
        made[name] = {
          description: MARK + name,
          args: {},
          execute: async (args, at) => {
            checkArguments(name, args);
            return this.#give(at, await execute(args as Arguments, at));
          },
        };
      }
    };
    add("read", (args: ReadArguments, at) => this.#read(args, at));
    if (rg === undefined) return made;
    add("grep", (args: GrepArguments, at) => this.#grep(rg, args, at));
    add("glob", (args: GlobArguments, at) => this.#glob(rg, args, at));
    return made;
  }

  /**
   * OpenCode cuts what a plugin's tool gives, at limits that its own tools keep to by themselves, and names a file with
   * a random name for the rest, which no later call would ask for again. This puts back what was given.
   */
  restore(call: string, taken: { title: string; output: string; metadata: unknown }): void {
    const given = this.#given.get(call);
    this.#given.delete(call);
    if (given) Object.assign(taken, { title: given.title, output: given.output, metadata: given.metadata });
  }

  #give(at: ToolContext, output: ToolOutput): ToolOutput {
    const { callID } = at as { callID?: string };
    if (callID === undefined) return output;
    this.#given.set(callID, output);
    const [oldest] = this.#given.keys(); // of a call that was broken off, most likely
    if (this.#given.size > MAX_GIVEN && oldest !== undefined) this.#given.delete(oldest);
    return output;
  }

  async #read(args: ReadArguments, at: ToolContext): Promise<ToolOutput> {
    const where = target(args.filePath, at);
    await askOutside(where, at);
    await at.ask({ permission: "read", patterns: [relative(at.worktree, where.path)], always: ["*"], metadata: {} });
    const deps = readDependencies(where);
    const result = await this.#cached("read", { ...args, filePath: where.path }, where, deps, at, () =>
      readTarget(args, where, at),
    );
    if (where.kind !== "file" || result.attachments) return result;
    const notes = await this.instructions.of(where.path, at.directory, at.sessionID);
    if (notes.length === 0) return result;
    const reminder = `\n\n<system-reminder>\n${notes.map((note) => note.text).join("\n\n")}\n</system-reminder>`;
    const metadata = { ...result.metadata, loaded: notes.map((note) => note.path) };
    return { ...result, output: result.output + reminder, metadata };
  }

  async #grep(rg: string, args: GrepArguments, at: ToolContext): Promise<ToolOutput> {
    const { pattern, path, include } = args;
    await at.ask({ permission: "grep", patterns: [pattern], always: ["*"], metadata: { pattern, path, include } });
    const where = target(path, at);
    await askOutside(where, at);
    const deps = where.kind === "file" ? only(file(where.path)) : await searchDependencies(where.path, at.worktree);
    return this.#cached("grep", { ...args, path: where.path }, where, deps, at, () =>
      grep(rg, args, where, at.abort),
    );
  }

  async #glob(rg: string, args: GlobArguments, at: ToolContext): Promise<ToolOutput> {
    const { pattern, path } = args;
    await at.ask({ permission: "glob", patterns: [pattern], always: ["*"], metadata: { pattern, path } });
    const where = target(path, at);
    await askOutside(where, at);
    const deps = await searchDependencies(where.path, at.worktree);
    return this.#cached("glob", { ...args, path: where.path }, where, deps, at, () => glob(rg, args, where, at));
  }

  #cached(
    name: ToolName,
    args: object,
    where: Target,
    depends: Dependencies | undefined,
    at: ToolContext,
    compute: () => Promise<ToolOutput>,
  ): Promise<ToolOutput> {
    if (depends === undefined || !where.mayBeKept) return compute();
    const parts = { tool: name, args, worktree: at.worktree, tools: [{ name, version: VERSION }] };
    const { deps, areAll } = depends;
    const request: CachedRequest = { kind: "tool_result", parts, deps, run: this.sessions.run(at.sessionID) };
    const scope = scopeOf(this.options, at.sessionID);
    if (scope !== undefined) request.scope = scope;
    if (this.options.versions !== undefined) request.versions = this.options.versions;
    return this.client.cached(request, async (recorder) => {
      if (!(await areAll())) recorder.skip();
      return compute();
    });
  }
}

function readDependencies(where: Target): Dependencies | undefined {
  if (where.kind === "directory") return only(dir(where.path));
  return where.kind === "file" && where.size <= MAX_FILE_BYTES ? only(file(where.path)) : undefined;
}

const only = (dependency: Dependency): Dependencies => ({ deps: [dependency], areAll: async () => true });
