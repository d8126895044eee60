// The agent API's bodies, as they go over the wire. The words are those of the API, so they are spelled as there.

export type Kind = "llm" | "plan" | "tools" | "tool_result" | "subagent" | "retrieval" | "compaction";

/** What an entry depends on: checked at each hit, and the entry is stale when one has changed. Paths are absolute. */
export type Dependency =
  | { type: "file"; path: string }
  | { type: "dir"; path: string }
  | { type: "git"; path: string }
  | { type: "value"; name: string; value: unknown };

/** A tool as the model sees it; all of it together is the tool's version. */
export interface ToolDescription {
  name: string;
  description?: string;
  schema?: unknown;
  /** Of the implementation: another one is another tool. */
  version?: string;
}

export interface LookupRequest {
  kind: Kind;
  /** Any JSON; together the parts are the key. `tools` is an array of ToolDescription. */
  parts: Record<string, unknown>;
  versions?: Record<string, string>;
  /** Narrows the credential's scope, such as "user:ann, session:7". */
  scope?: string;
  deps?: readonly Dependency[];
  /** Groups entries: what is committed as pending is seen by this run alone until the run is committed. */
  run?: string;
  max_age?: number;
  explain?: boolean;
  /** Seconds (at most 60) to wait for another caller who computes the same. */
  wait?: number;
  /** false: no look-up by meaning (kinds plan, subagent, retrieval). */
  semantic?: boolean;
  /** strict (default): all tools are part of the key; used: only those that commit names. */
  tools_mode?: "strict" | "used";
}

export interface Explanation {
  nearest: string | null;
  changed: string[];
}

interface Answered {
  key: string;
  tags?: Record<string, string>;
  explain?: Explanation;
}

export interface Hit<Value = unknown> extends Answered {
  status: "hit";
  value: Value;
  entry: string;
  age: number;
  versions?: Record<string, string>;
  provenance?: { created?: string | number; run?: string } & Record<string, unknown>;
  pending?: boolean;
  detail?: "exact" | "semantic";
  similarity?: number;
  /** What the call that made it was billed, where commit told. */
  saved?: { input_tokens: number; output_tokens: number; usd: number };
}

export interface Miss extends Partial<Answered> {
  status: "miss";
  /** What commit needs. None: nobody keeps this value (no server, or too slow). */
  ticket?: string;
  expires_in?: number;
  reason: "cold" | "version" | "scope" | "expired" | "parts" | "unavailable" | (string & {});
  in_flight?: boolean;
}

export interface Stale extends Answered {
  status: "stale";
  ticket: string;
  expires_in: number;
  reason: "dependency";
  /** What has changed. */
  stale: ({ type: string; path?: string; name?: string } & Record<string, unknown>)[];
}

export type Lookup<Value = unknown> = Hit<Value> | Miss | Stale;

export type Outcome = "success" | "pending" | "failure" | "cancelled";

export interface CommitRequest {
  /** The lookup's. Undefined is allowed, so that `commit({ ticket: found.ticket, … })` needs no check. */
  ticket: string | undefined;
  value: unknown;
  /** Default: "pending" inside run(), else "success". */
  outcome?: Outcome | (string & {});
  deps?: readonly Dependency[];
  /** Seconds. */
  ttl?: number;
  /** As OpenAI or Anthropic write it, with `cost_usd` beside it where that is known. */
  usage?: Record<string, unknown>;
  /** Names of the tools that were used; for tools_mode "used". */
  used?: readonly string[];
}

export type Commit = { status: "stored"; entry: string; key: string } | { status: "dropped"; reason: string };

export type RunCommit = { status: "stored"; entries: number } | { status: "dropped"; reason: string };
export type Abort = { status: "aborted"; entries: number } | { status: "dropped"; reason: string };
export type Invalidation = { status: "ok"; removed: number } | { status: "dropped"; reason: string };
export type Hinted = { status: "ok" } | { status: "dropped"; reason: string };

export type InvalidateRequest =
  | { entry: string }
  | { version: string }
  | { scope: string }
  | { path: string }
  | { kind: Kind };

/** What is known of a session's future. Advice alone. */
export interface HintRequest {
  session: string;
  event?: "open" | "turn" | "waiting" | "end";
  next?: "continue" | "idle" | "end";
  expect_return_s?: number;
  run?: string;
}

export interface LayerStats {
  hits: number;
  misses: number;
  entries: number;
  bytes: number;
  reasons?: Record<string, number>;
}

export interface Stats {
  layers: Record<string, LayerStats>;
  [field: string]: unknown;
}
