// Middleware for the AI SDK: wrapLanguageModel({ model, middleware: payonceMiddleware() }).
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4Middleware,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
  LanguageModelV4Usage,
} from "@ai-sdk/provider";
import type { Client } from "./client.js";
import { fromPlain, toPlain } from "./plain.js";
import { currentRun } from "./run.js";
import { defaultClient } from "./tool.js";
import type { Lookup, LookupRequest, Outcome } from "./types.js";

export interface MiddlewareOptions {
  client?: Client;
  scope?: string;
  versions?: Record<string, string>;
  /** Seconds. */
  ttl?: number;
  /** Seconds to wait for an equal call that is being computed. */
  wait?: number;
  /** Whatever else tells this model from another of the same provider and name, such as a base URL. */
  key?: unknown;
  /** true for calls that are to be neither read nor written. */
  bypass?: (params: LanguageModelV4CallOptions) => boolean;
  /** Told of each lookup: what hit, what missed and why. */
  onLookup?: (found: Lookup) => void;
}

// What an answer must have ended with to be kept.
const COMPLETE: ReadonlySet<string> = new Set(["stop", "tool-calls"]);
// Who sends it, not what is asked.
const ENVELOPE = /^(user-agent|authorization|x-api-key|api-key|x-goog-api-key|traceparent|tracestate|x-request-id)$/i;

export function payonceMiddleware(options: MiddlewareOptions = {}): LanguageModelV4Middleware {
  return {
    specificationVersion: "v4",
    wrapGenerate: async ({ doGenerate, params, model }) => {
      const found = await lookup(options, "generate", params, model);
      if (found === undefined) return doGenerate();
      if (found.hit !== undefined) return found.hit as LanguageModelV4GenerateResult;
      let result: LanguageModelV4GenerateResult;
      try {
        result = await doGenerate();
      } catch (error) {
        found.abort();
        throw error;
      }
      await found.finish(isComplete(result.finishReason) ? kept(result) : undefined, result.usage);
      return result;
    },
    wrapStream: async ({ doStream, params, model }) => {
      const found = await lookup(options, "stream", params, model);
      if (found === undefined) return doStream();
      if (found.hit !== undefined) return { stream: replay(found.hit as LanguageModelV4StreamPart[]) };
      let result: LanguageModelV4StreamResult;
      try {
        result = await doStream();
      } catch (error) {
        found.abort();
        throw error;
      }
      return { ...result, stream: record(result.stream, found) };
    },
  };
}

/** A lookup that a model call is the answer to. */
interface Found {
  hit: unknown;
  abort(): void;
  /** Undefined: not to be kept. */
  finish(value: unknown, usage?: LanguageModelV4Usage): Promise<void>;
}

async function lookup(
  options: MiddlewareOptions,
  mode: "generate" | "stream",
  params: LanguageModelV4CallOptions,
  model: LanguageModelV4,
): Promise<Found | undefined> {
  if (options.bypass?.(params)) return undefined;
  const client = options.client ?? defaultClient();
  let request: LookupRequest;
  try {
    request = describe(options, mode, params, model);
  } catch {
    return undefined; // something that is no data, so that nobody can say whether another call is equal
  }
  const run = currentRun();
  const outcome: Outcome = run ? "pending" : "success";
  const found = await client.lookup(request);
  options.onLookup?.(found);
  const ticket = found.status === "hit" ? undefined : found.ticket;
  let isDone = false;
  const abort = () => {
    if (!isDone) client.giveBack(ticket);
    isDone = true;
  };
  return {
    hit: found.status === "hit" ? fromPlain(found.value) : undefined,
    abort,
    finish: async (value, usage) => {
      if (value === undefined || isDone) return abort();
      let plain: unknown;
      try {
        plain = toPlain(value);
      } catch {
        return abort();
      }
      const ttl = options.ttl === undefined ? {} : { ttl: options.ttl };
      const told = usage === undefined ? {} : { usage: billed(usage) };
      isDone = true;
      await client.commit({ ticket, value: plain, outcome, ...ttl, ...told });
    },
  };
}

function describe(
  options: MiddlewareOptions,
  mode: "generate" | "stream",
  params: LanguageModelV4CallOptions,
  model: LanguageModelV4,
): LookupRequest {
  const { abortSignal: _, headers, tools, ...asked } = params;
  const sent = Object.entries(headers ?? {}).filter(([name]) => !ENVELOPE.test(name));
  const parts = toPlain({
    api: "ai-sdk/v4",
    mode,
    provider: model.provider,
    model: model.modelId,
    tools,
    headers: Object.fromEntries(sent.map(([name, value]) => [name.toLowerCase(), value])),
    key: options.key,
    ...asked,
  }) as Record<string, unknown>;
  return {
    kind: "llm",
    parts,
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    ...(options.versions === undefined ? {} : { versions: options.versions }),
    ...(options.wait === undefined ? {} : { wait: options.wait }),
  };
}

// As Anthropic counts: what was read from or written to the provider's cache is apart.
function billed({ inputTokens, outputTokens }: LanguageModelV4Usage): Record<string, number> {
  return {
    input_tokens: inputTokens.noCache ?? inputTokens.total ?? 0,
    cache_read_input_tokens: inputTokens.cacheRead ?? 0,
    cache_creation_input_tokens: inputTokens.cacheWrite ?? 0,
    output_tokens: outputTokens.total ?? 0,
  };
}

function isComplete(reason: LanguageModelV4FinishReason): boolean {
  return COMPLETE.has(reason.unified);
}

// Without the raw request and response, which would be the whole conversation once more.
function kept(result: LanguageModelV4GenerateResult): Omit<LanguageModelV4GenerateResult, "request"> {
  const { request: _, response, ...rest } = result;
  if (response === undefined) return rest;
  const { headers: __, body: ___, ...known } = response;
  return { ...rest, response: known };
}

function replay(parts: LanguageModelV4StreamPart[]): ReadableStream<LanguageModelV4StreamPart> {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      const part = parts[next];
      next += 1;
      if (part === undefined) controller.close();
      else controller.enqueue(part);
    },
  });
}

// Passes the parts on as they come. Kept is a stream that ended by itself, well.
function record(
  stream: ReadableStream<LanguageModelV4StreamPart>,
  found: Found,
): ReadableStream<LanguageModelV4StreamPart> {
  const reader = stream.getReader();
  const parts: LanguageModelV4StreamPart[] = [];
  let isGood = false;
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          const usage = parts.find((part) => part.type === "finish")?.usage;
          await found.finish(isGood ? parts : undefined, usage);
          controller.close();
          return;
        }
        parts.push(value);
        if (value.type === "finish") isGood = isComplete(value.finishReason);
        if (value.type === "error") found.abort();
        controller.enqueue(value);
      } catch (error) {
        found.abort();
        controller.error(error);
      }
    },
    cancel(reason) {
      found.abort();
      return reader.cancel(reason);
    },
  });
}
