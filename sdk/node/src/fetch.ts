// A fetch that sends calls of the data plane to the instance, and to the provider itself when no instance is there.

// What the instance answers for; everything else goes where it was going.
const ENDPOINTS = /\/(chat\/completions|responses|messages|messages\/count_tokens|completions|embeddings)$/;
const REFUSED = new Set(["ECONNREFUSED", "ConnectionRefused", "ENOENT", "EHOSTUNREACH", "ENOTFOUND"]);
const PAUSE_MS = 1000;

export type Fetch = typeof globalThis.fetch;

export interface CachingFetchOptions {
  /** Asked at each call: the root URL, or undefined for none. */
  instance: () => Promise<URL | undefined>;
  /** The way to the provider. Default: the global fetch. */
  direct?: Fetch;
  /** Only calls that are an endpoint right below one of these, such as https://api.openai.com/v1. Default: all. */
  bases?: readonly string[];
}

export function cachingFetch({ instance, direct = globalThis.fetch, bases }: CachingFetchOptions): Fetch {
  let pausedUntil = 0;
  const endpointOf = (url: URL): string | undefined => {
    const endpoint = ENDPOINTS.exec(url.pathname)?.[0];
    const base = url.origin + url.pathname.slice(0, -(endpoint?.length ?? 0));
    return bases === undefined || bases.includes(base) ? endpoint : undefined;
  };
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const endpoint = endpointOf(url);
    const root = endpoint === undefined || performance.now() < pausedUntil ? undefined : await instance();
    if (root === undefined) return direct(input, init);
    const there = new URL(`${root.pathname.replace(/\/$/, "")}/v1${endpoint}${url.search}`, root);
    // A Request's body can be read once only; the copy keeps the original for the provider.
    const first = input instanceof Request ? new Request(there, input.clone()) : there;
    try {
      return await direct(first, init);
    } catch (error) {
      if (!isRefused(error) || isStream(init?.body)) throw error;
      pausedUntil = performance.now() + PAUSE_MS;
      return direct(input, init);
    }
  };
}

function isRefused(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (REFUSED.has((cause as { code?: string }).code ?? "")) return true;
    if (cause instanceof AggregateError) return cause.errors.every(isRefused);
  }
  return false;
}

const isStream = (body: unknown): boolean => typeof body === "object" && body !== null && "getReader" in body;
