import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { Client } from "./client.js";

export interface RunOptions {
  /** Default: a random one. Runs of the same name see each other's pending entries. */
  id?: string;
  /** The session that is told of by hints. */
  session?: string;
}

const runs = new AsyncLocalStorage<Run>();

/** The run that this code is inside of. */
export const currentRun = (): Run | undefined => runs.getStore();

/** A group of entries: pending, seen by the run alone, until it succeeds; deleted when it fails. */
export class Run {
  readonly id: string;
  readonly #session: string | undefined;

  constructor(
    private readonly client: Client,
    options: RunOptions,
  ) {
    this.id = options.id ?? `run-${randomUUID()}`;
    this.#session = options.session;
  }

  async execute<Result>(body: (run: Run) => Promise<Result> | Result): Promise<Result> {
    if (this.#session !== undefined) {
      void this.client.hint({ session: this.#session, event: "turn", run: this.id });
    }
    let result: Result;
    try {
      result = await runs.run(this, async () => body(this));
    } catch (error) {
      await this.client.abort({ run: this.id });
      throw error;
    }
    await this.client.commitRun(this.id);
    return result;
  }
}
