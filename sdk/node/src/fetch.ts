// A fetch that sends calls of the data plane to the instance, and to the provider itself when no instance is there.

// What the instance answers for; everything else goes where it was going.
const ENDPOINTS = /\/(chat\/completions|responses|messages|messages\/count_tokens|completions|embeddings)$/;
const REFUSED = new Set(["ECONNREFUSED", "ConnectionRefused", "ENOENT", "EHOSTUNREACH", "ENOTFOUND"]);
const PAUSE_MS = 1000;

export type Fetch = typeof globalThis.fetch;

/** `instance` is asked at each call: the root URL, or undefined for none. */
export function cachingFetch(instance: () => Promise<URL | undefined>, direct: Fetch = globalThis.fetch): Fetch {
  let pausedUntil = 0;
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const endpoint = ENDPOINTS.exec(url.pathname)?.[0];
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
