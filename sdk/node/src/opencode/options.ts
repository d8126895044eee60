// The plugin's options, as they stand beside its name in opencode.json.

export const TOOLS = ["read", "grep", "glob"] as const;
export type ToolName = (typeof TOOLS)[number];

export interface PluginOptions {
  /** Of the instance. Default: PAYONCE_URL, else http://127.0.0.1:4141. */
  url?: string;
  /** For the agent API. Default: PAYONCE_API_KEY. LLM calls carry the provider's own. */
  credential?: string;
  /** Providers whose LLM calls go to the instance, such as ["anthropic"]. Their API must be its upstream. */
  providers?: string[];
  /** Read-only tools whose results are cached. Default: all three; [] for none. */
  tools?: ToolName[];
  /** A part of X-Payonce-Scope, such as "user:ann"; "session" keeps each session's answers to itself. */
  scope?: string;
  /** Version tags that are part of every key, such as { kb: "2026-11" }. */
  versions?: Record<string, string>;
  /** A lookup that takes longer is a miss. Default: PAYONCE_TIMEOUT_MS, else 50. */
  lookupTimeoutMs?: number;
  /** false switches everything off; so does PAYONCE_OPENCODE=off. */
  enabled?: boolean;
}

const KNOWN = ["url", "credential", "providers", "tools", "scope", "versions", "lookupTimeoutMs", "enabled"];

export function parseOptions(given: Record<string, unknown> | undefined): PluginOptions {
  const options = (given ?? {}) as PluginOptions;
  const unknown = Object.keys(options).find((name) => !KNOWN.includes(name));
  if (unknown) throw new Error(`payonce: unknown option "${unknown}"; there are ${KNOWN.join(", ")}`);
  const tool = options.tools?.find((name) => !TOOLS.includes(name));
  if (tool) throw new Error(`payonce: option tools names "${tool}"; there are ${TOOLS.join(", ")}`);
  return options;
}

export const isOff = (options: PluginOptions): boolean =>
  options.enabled === false || process.env.PAYONCE_OPENCODE === "off";

export function scopeOf(options: PluginOptions, session: string): string | undefined {
  return options.scope === "session" ? `session:${session}` : options.scope;
}
