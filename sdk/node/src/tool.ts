import { createHash } from "node:crypto";
import { Client } from "./client.js";
import type { Dependency, ToolDescription } from "./types.js";

export interface ToolOptions<Arguments extends unknown[]> {
  /** As the model calls it. Default: the function's own name. */
  name?: string;
  description?: string;
  schema?: unknown;
  /** Of the implementation. Default: a hash of the function's source, which does not see what the function calls. */
  version?: string;
  /** What the result depends on, known from the arguments. */
  deps?: (...args: Arguments) => readonly Dependency[] | Promise<readonly Dependency[]>;
  /** What of the arguments is the key. Default: all of them. */
  key?: (...args: Arguments) => unknown;
  /** Seconds, for tools that read what no dependency can name. */
  ttl?: number;
  scope?: string;
  client?: Client;
}

let shared: Client | undefined;
/** The client that PAYONCE_URL, PAYONCE_SOCKET, PAYONCE_API_KEY and PAYONCE_TIMEOUT_MS describe. */
export function defaultClient(): Client {
  shared ??= new Client();
  return shared;
}

/** A read-only tool with its results cached (kind tool_result). A tool that changes anything must not be wrapped. */
export function tool<Arguments extends unknown[], Result>(
  execute: (...args: Arguments) => Promise<Result> | Result,
  options: ToolOptions<Arguments> = {},
): (...args: Arguments) => Promise<Result> {
  const described = describe(execute, options);
  return async (...args) => {
    const client = options.client ?? defaultClient();
    const deps = (await options.deps?.(...args)) ?? [];
    const parts = { tool: described.name, args: options.key ? options.key(...args) : args, tools: [described] };
    return client.cached(
      {
        kind: "tool_result",
        parts,
        deps,
        ...(options.ttl === undefined ? {} : { ttl: options.ttl }),
        ...(options.scope === undefined ? {} : { scope: options.scope }),
      },
      () => execute(...args),
    );
  };
}

function describe(
  execute: { name: string; toString(): string },
  options: Pick<ToolOptions<[]>, "name" | "description" | "schema" | "version">,
): ToolDescription {
  const name = options.name ?? execute.name;
  if (!name) throw new TypeError("tool(): the function has no name; give one as { name }");
  const source = createHash("sha256").update(execute.toString()).digest("hex").slice(0, 16);
  return {
    name,
    version: options.version ?? source,
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.schema === undefined ? {} : { schema: options.schema }),
  };
}
