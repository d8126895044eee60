// The OpenCode plugin: LLM calls through the instance, read-only tools looked up first, entries published when a turn
// has ended well, hints about sessions. Without an instance OpenCode works as if the plugin were not there.
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import { Client } from "./client.js";
import { cachingFetch } from "./fetch.js";
import { ownDefinition } from "./opencode/arguments.js";
import { isOff, type PluginOptions, parseOptions, scopeOf, type ToolName } from "./opencode/options.js";
import { Sessions } from "./opencode/sessions.js";
import { CachedTools, MARK } from "./opencode/tools.js";
import { isLoopback, place } from "./where.js";

export type { PluginOptions };

// A start may wait so long for an instance that is there; without one the connection is refused at once.
const PRESENT_WITHIN_MS = 500;

async function server(input: PluginInput, given?: Record<string, unknown>): Promise<Hooks> {
  const options = parseOptions(given);
  if (isOff(options)) return {};
  const client = new Client({
    ...(options.url === undefined ? {} : { url: options.url }),
    ...(options.credential === undefined ? {} : { credential: options.credential }),
    ...(options.lookupTimeoutMs === undefined ? {} : { lookupTimeoutMs: options.lookupTimeoutMs }),
    timeoutMs: PRESENT_WITHIN_MS,
  });
  const sessions = new Sessions(client);
  const hooks = llmHooks(options);
  const there = await client.hint({ session: "opencode", event: "open" });
  if (there.status !== "ok") {
    await input.client.app
      .log({
        body: { service: "payonce", level: "warn", message: `no Payonce at ${place(options.url, undefined).url}` },
      })
      .catch(() => {});
    return hooks; // the calls look for it again each time
  }
  // Files are checked where they lie: an instance elsewhere cannot.
  const { url, socket } = place(options.url, undefined);
  const isHere = socket !== undefined || isLoopback(url.hostname);
  return { ...hooks, ...sessionHooks(sessions), ...(isHere ? toolHooks(client, sessions, options) : {}) };
}

function llmHooks(options: PluginOptions): Hooks {
  const root = place(options.url, undefined).url;
  const providers = new Set(options.providers ?? []);
  const isOurs = (id: string, base: unknown) =>
    providers.has(id) || (typeof base === "string" && base.startsWith(root.origin));
  return {
    config: async (config) => {
      for (const id of providers) {
        config.provider ??= {};
        const provider = config.provider[id] ?? {};
        // OpenCode hands this function to the provider's SDK.
        provider.options = { ...provider.options, fetch: cachingFetch({ instance: async () => root }) };
        config.provider[id] = provider;
      }
    },
    "chat.headers": async (call, output) => {
      if (!isOurs(call.model.providerID, call.provider.options?.baseURL)) return;
      const scope = scopeOf(options, call.sessionID);
      if (scope !== undefined) output.headers["X-Payonce-Scope"] = scope;
      const versions = { ...options.versions, agent: call.agent };
      const tags = Object.entries(versions).map(([name, value]) => `${name}=${value}`);
      output.headers["X-Payonce-Version"] = tags.join(", ");
    },
  };
}

function sessionHooks(sessions: Sessions): Hooks {
  return {
    "chat.message": async (message) => sessions.turn(message.sessionID),
    event: async ({ event }) => {
      if (event.type === "session.created") sessions.open(event.properties.info.id);
      if (event.type === "session.idle") sessions.idle(event.properties.sessionID);
      if (event.type === "session.error" && event.properties.sessionID) sessions.failed(event.properties.sessionID);
      if (event.type === "session.deleted") sessions.end(event.properties.info.id);
    },
    dispose: () => sessions.dispose(),
  };
}

interface Definition {
  description: string;
  parameters: unknown;
  jsonSchema?: unknown;
}

// Each of our tools shows the model what OpenCode's own of that name shows: that one is defined just before it.
function toolHooks(client: Client, sessions: Sessions, options: PluginOptions): Hooks {
  const tools = new CachedTools(client, sessions, options);
  const own = new Map<string, Definition>();
  return {
    tool: tools.definitions() as NonNullable<Hooks["tool"]>,
    "tool.definition": async ({ toolID }, output: Definition) => {
      if (output.description !== MARK + toolID) {
        const { description, parameters, jsonSchema } = output;
        own.set(toolID, { description, parameters, jsonSchema });
        return;
      }
      Object.assign(output, own.get(toolID) ?? ownDefinition(toolID as ToolName));
    },
    "tool.execute.after": async ({ callID }, output) => tools.restore(callID, output),
    "experimental.session.compacting": async ({ sessionID }) => tools.instructions.forget(sessionID),
  };
}

export default { id: "payonce", server };
