import { PayonceError } from "./errors.js";
import type { Verb } from "./frames.js";
import { HttpTransport } from "./http.js";
import { isJson } from "./json.js";
import { currentRun, Run, type RunOptions } from "./run.js";
import { SocketTransport } from "./socket.js";
import type { Transport } from "./transport.js";
import type {
  Abort,
  Commit,
  CommitRequest,
  Dependency,
  Hinted,
  HintRequest,
  InvalidateRequest,
  Invalidation,
  Lookup,
  LookupRequest,
  RunCommit,
  Stats,
} from "./types.js";
import { lookupTimeoutMs, type Place, place, socketOf } from "./where.js";

export interface ClientOptions {
  /** Default: PAYONCE_URL, else http://127.0.0.1:4141. */
  url?: string;
  /** Path of the Unix socket. Default: PAYONCE_SOCKET, else the URL's own when it is on this machine. */
  socket?: string;
  /** Whose entries these are. Default: PAYONCE_API_KEY. */
  credential?: string;
  /** A lookup that takes longer is a miss. Default: PAYONCE_TIMEOUT_MS, else 50. */
  lookupTimeoutMs?: number;
  /** Of the other calls. Default 1000. */
  timeoutMs?: number;
  /** After a refused connection nothing is tried for so long. Default 1000. */
  retryAfterMs?: number;
  /** For tests: failures throw. Otherwise a failed lookup is a miss and a failed commit is dropped. */
  strict?: boolean;
  /** Told of each failure that did not throw. */
  onError?: (error: PayonceError) => void;
}

/** What a computation may add while it runs. */
export interface Recorder {
  /** Found out only now that the value depends on this. What is known before belongs into `deps`. */
  depends(...deps: Dependency[]): void;
  /** The value is not to be kept after all. */
  skip(): void;
}

export type CachedRequest = LookupRequest & { ttl?: number };

// So many lookups in a row without an answer in time, and the instance counts as gone for a while.
const SLOW_LOOKUPS = 3;
const LATE_MS = 5000;
const UNAVAILABLE: PayonceError["type"][] = ["unavailable", "timeout"];

/** The agent API. Fails open: without an instance every lookup is a miss, at once, and nothing throws. */
export class Client {
  readonly #options: ClientOptions;
  readonly #place: Place;
  readonly #credential: string | undefined;
  readonly #lookupTimeoutMs: number;
  #transport: Transport | undefined;
  #pausedUntil = 0;
  #slow = 0;

  /** Throws when PAYONCE_URL or PAYONCE_TIMEOUT_MS is wrong and no option stands for it. */
  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.#place = place(options.url, options.socket);
    this.#credential = (options.credential ?? process.env.PAYONCE_API_KEY) || undefined;
    this.#lookupTimeoutMs = options.lookupTimeoutMs ?? lookupTimeoutMs();
  }

  /** A hit with its value, a miss or stale with a ticket for commit. */
  async lookup<Value = unknown>(request: LookupRequest): Promise<Lookup<Value>> {
    const asked = { ...request };
    const run = currentRun()?.id;
    if (run !== undefined) asked.run ??= run;
    const patience = this.#lookupTimeoutMs + (request.wait ?? 0) * 1000;
    try {
      const answer = await this.#call("lookup", asked, patience, request.wait !== undefined);
      return answer as Lookup<Value>;
    } catch (error) {
      return this.#open(error, { status: "miss", reason: "unavailable" });
    }
  }

  /** Writes the value of a ticket. Without a ticket it is dropped. */
  async commit(request: CommitRequest): Promise<Commit> {
    if (request.ticket === undefined) return { status: "dropped", reason: "no_ticket" };
    const outcome = request.outcome ?? (currentRun() ? "pending" : "success");
    return this.#other<Commit>("commit", { ...request, outcome });
  }

  /** Publishes what a run has pending; run() does it by itself. */
  commitRun(run: string): Promise<RunCommit> {
    return this.#other<RunCommit>("commit", { run, outcome: "success" });
  }

  /** Gives a ticket back, or deletes what a run has pending. */
  async abort(what: { ticket: string | undefined } | { run: string }): Promise<Abort> {
    if ("ticket" in what && what.ticket === undefined) return { status: "dropped", reason: "no_ticket" };
    return this.#other<Abort>("abort", what);
  }

  /** abort of a ticket without waiting; whatever fails, the ticket expires. */
  giveBack(ticket: string | undefined): void {
    if (ticket !== undefined) this.abort({ ticket }).catch(() => {});
  }

  invalidate(what: InvalidateRequest): Promise<Invalidation> {
    return this.#other<Invalidation>("invalidate", what);
  }

  hint(hint: HintRequest): Promise<Hinted> {
    return this.#other<Hinted>("hint", hint);
  }

  /** Undefined when there is no instance. */
  async stats(): Promise<Stats | undefined> {
    try {
      return (await this.#call("stats", {}, this.#options.timeoutMs ?? 1000, false)) as Stats;
    } catch (error) {
      return this.#open(error, undefined);
    }
  }

  /** The stored value, or the computed one, which is committed. When `compute` throws, nothing is. */
  async cached<Value>(
    request: CachedRequest,
    compute: (recorder: Recorder) => Promise<Value> | Value,
  ): Promise<Value> {
    const { ttl, ...asked } = request;
    const found = await this.lookup<Value>(asked);
    if (found.status === "hit") return found.value;
    const deps: Dependency[] = [];
    let isKept = true;
    const recorder: Recorder = {
      depends: (...more) => void deps.push(...more),
      skip: () => {
        isKept = false;
      },
    };
    let value: Value;
    try {
      value = await compute(recorder);
    } catch (error) {
      this.giveBack(found.ticket);
      throw error;
    }
    if (found.ticket === undefined) return value;
    if (!isKept) {
      this.giveBack(found.ticket);
    } else if (!isJson(value)) {
      // A hit would give something else than what was computed.
      this.#tell(new PayonceError("not_json", `a ${request.kind} that is not plain JSON is not cached`));
      this.giveBack(found.ticket);
    } else {
      const outcome = (asked.run ?? currentRun()?.id) ? "pending" : "success";
      const commit: CommitRequest = { ticket: found.ticket, value, outcome };
      if (deps.length > 0) commit.deps = deps;
      if (ttl !== undefined) commit.ttl = ttl;
      await this.commit(commit);
    }
    return value;
  }

  /** Entries made inside become visible together when `body` succeeds, and are deleted when it throws. */
  run<Result>(body: (run: Run) => Promise<Result> | Result, options: RunOptions = {}): Promise<Result> {
    return new Run(this, options).execute(body);
  }

  /** Ends the connection. It keeps no process alive, so that this is seldom needed. */
  close(): void {
    this.#transport?.close();
    this.#transport = undefined;
  }

  async #other<Answer>(verb: Verb, body: object): Promise<Answer | { status: "dropped"; reason: string }> {
    try {
      return (await this.#call(verb, body, this.#options.timeoutMs ?? 1000, false)) as Answer;
    } catch (error) {
      return this.#open(error, { status: "dropped", reason: error instanceof PayonceError ? error.type : "error" });
    }
  }

  // `alone`: on a connection of its own, since answers come in order and this one may take its time.
  async #call(verb: Verb, body: object, timeoutMs: number, alone: boolean): Promise<unknown> {
    if (performance.now() < this.#pausedUntil) {
      throw new PayonceError("unavailable", "the instance was away a moment ago");
    }
    const text = stringify(verb, body);
    const transport = alone ? this.#connect() : this.#shared();
    try {
      const answer = await transport.call(verb, text, timeoutMs);
      this.#slow = 0;
      if (alone) transport.close();
      return answer;
    } catch (error) {
      this.#judge(error, transport);
      // Its ticket may still come, and is given back then.
      if (alone) setTimeout(() => transport.close(), LATE_MS).unref();
      throw error;
    }
  }

  #shared(): Transport {
    this.#transport ??= this.#connect();
    return this.#transport;
  }

  #connect(): Transport {
    const path = socketOf(this.#place);
    const late = (verb: Verb, answer: unknown) => this.#late(verb, answer);
    if (path !== undefined) return new SocketTransport(path, this.#credential, late);
    return new HttpTransport(this.#place.url, this.#credential, late);
  }

  // Who is away is asked again after a while only, and where it is is looked up anew.
  #judge(error: unknown, transport: Transport): void {
    if (!(error instanceof PayonceError) || !UNAVAILABLE.includes(error.type)) return;
    if (error.type === "timeout" && ++this.#slow < SLOW_LOOKUPS) return;
    this.#slow = 0;
    this.#pausedUntil = performance.now() + (this.#options.retryAfterMs ?? 1000);
    transport.close();
    if (this.#transport === transport) this.#transport = undefined;
  }

  // Nobody will commit the ticket of a lookup that came too late, and others may wait for it.
  #late(verb: Verb, answer: unknown): void {
    const ticket = verb === "lookup" ? (answer as { ticket?: string }).ticket : undefined;
    this.giveBack(ticket);
  }

  #open<Value>(error: unknown, instead: Value): Value {
    if (this.#options.strict) throw error;
    this.#tell(error instanceof PayonceError ? error : new PayonceError("internal", String(error)));
    return instead;
  }

  #tell(error: PayonceError): void {
    this.#options.onError?.(error);
  }
}

function stringify(verb: Verb, body: object): string {
  try {
    return JSON.stringify(body);
  } catch (error) {
    throw new PayonceError("not_json", `${verb}: ${error instanceof Error ? error.message : error}`);
  }
}
