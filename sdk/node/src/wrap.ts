// Two lines put a client behind the cache: import { wrap } from "payonce"; const client = wrap(new OpenAI());
import { startInstance, type Upstreams } from "./binary.js";
import { cachingFetch, type Fetch } from "./fetch.js";

/** What the official clients of OpenAI and Anthropic have in common. */
export interface Wrappable {
  baseURL: string;
  withOptions(options: { fetch?: Fetch }): Wrappable;
}

export interface WrapOptions {
  /** The instance. Default: PAYONCE_URL; without both one is started, for as long as this process lives. */
  url?: string;
  /** Further flags of `payonce serve` for an instance that is started, such as ["--layers", "exact"]. */
  flags?: readonly string[];
}

const started = new Map<string, Promise<URL | undefined>>();

/**
 * A client like the given one whose calls go through Payonce. Usable at once: the first call waits for an instance that
 * starts. Without an instance, and when it goes away, calls go to the provider as before.
 */
export function wrap<Client extends Wrappable>(client: Client, options: WrapOptions = {}): Client {
  const url = options.url ?? (process.env.PAYONCE_URL || undefined);
  const instance = url === undefined ? start(client, options.flags ?? []) : Promise.resolve(new URL(url));
  const own = (client as { fetch?: unknown }).fetch;
  const direct: Fetch =
    typeof own === "function" ? (input, init) => own.call(undefined, input, init) : globalThis.fetch;
  // Anthropic's base has no /v1. Clients for other platforms (Azure, Bedrock, …) put more in between: not ours.
  const base = client.baseURL.replace(/\/$/, "");
  const fetch = cachingFetch({ instance: () => instance, direct, bases: [base, `${base}/v1`] });
  return client.withOptions({ fetch }) as Client;
}

function start(client: Wrappable, flags: readonly string[]): Promise<URL | undefined> {
  const base = client.baseURL.replace(/\/$/, "");
  const isAnthropic = "messages" in client && !("chat" in client);
  const upstreams: Upstreams = isAnthropic ? { openai: `${base}/v1`, anthropic: base } : { openai: base };
  const name = JSON.stringify([upstreams, flags]);
  let instance = started.get(name);
  if (instance === undefined) {
    instance = startInstance(upstreams, flags);
    started.set(name, instance);
  }
  return instance;
}
