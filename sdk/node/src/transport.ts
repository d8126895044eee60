import { PayonceError } from "./errors.js";
import type { Verb } from "./frames.js";

/** One way to the instance. `call` gives the parsed answer, or throws a PayonceError. */
export interface Transport {
  call(verb: Verb, body: string, timeoutMs: number): Promise<unknown>;
  close(): void;
}

/** Told of answers that came after their caller had been told "timeout". */
export type OnLate = (verb: Verb, answer: unknown) => void;

export interface ErrorBody {
  error?: { type?: string; message?: string; status?: number };
}

const LONGEST_MS = 2 ** 31 - 1; // a timer that was set for longer ends at once

/** A caller who waits for one answer. An answer that comes too late goes to `onLate`. */
export class Waiting {
  readonly promise: Promise<unknown>;
  #resolve!: (answer: unknown) => void;
  #reject!: (error: PayonceError) => void;
  readonly #timer: NodeJS.Timeout;
  #state: "waiting" | "late" | "done" = "waiting";

  constructor(
    private readonly verb: Verb,
    timeoutMs: number,
    private readonly onLate: OnLate,
    private readonly onTimeout: () => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = setTimeout(() => this.#expire(timeoutMs), Math.min(timeoutMs, LONGEST_MS));
  }

  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  resolve(answer: unknown): void {
    const wasLate = this.#done() === "late";
    if (wasLate) this.onLate(this.verb, answer);
    else this.#resolve(answer);
  }

  reject(error: PayonceError): void {
    if (this.#done() === "waiting") this.#reject(error);
  }

  #done(): "waiting" | "late" | "done" {
    const was = this.#state;
    this.#state = "done";
    clearTimeout(this.#timer);
    return was;
  }

  #expire(timeoutMs: number): void {
    this.#state = "late";
    this.#reject(new PayonceError("timeout", `${this.verb}: no answer within ${timeoutMs} ms`));
    this.onTimeout();
  }
}
