import type { CachedRequest, Recorder } from "./client.js";
import type { Run, RunOptions } from "./run.js";
import { defaultClient } from "./tool.js";

export * from "./client.js";
export * from "./deps.js";
export { PayonceError } from "./errors.js";
export { currentRun, Run, type RunOptions } from "./run.js";
export { defaultClient, type ToolOptions, tool } from "./tool.js";
export * from "./types.js";
export { type WrapOptions, type Wrappable, wrap } from "./wrap.js";

/** `Client.cached` of the default client. */
export function cached<Value>(
  request: CachedRequest,
  compute: (recorder: Recorder) => Promise<Value> | Value,
): Promise<Value> {
  return defaultClient().cached(request, compute);
}

/** `Client.run` of the default client. */
export function run<Result>(body: (run: Run) => Promise<Result> | Result, options: RunOptions = {}): Promise<Result> {
  return defaultClient().run(body, options);
}
