// One run for each turn of a session: what its tools found is visible to others when the turn has ended well.
import type { Client } from "../client.js";

export class Sessions {
  readonly #runs = new Map<string, string>();
  readonly #ending = new Set<Promise<unknown>>();
  #turns = 0;

  constructor(private readonly client: Client) {}

  open(session: string): void {
    this.#later(this.client.hint({ session, event: "open" }));
  }

  turn(session: string): void {
    this.#later(this.client.hint({ session, event: "turn", run: this.run(session) }));
  }

  run(session: string): string {
    let run = this.#runs.get(session);
    if (run === undefined) {
      this.#turns += 1;
      run = `opencode-${session}-${process.pid}-${this.#turns}`;
      this.#runs.set(session, run);
    }
    return run;
  }

  /** The turn has ended well. */
  idle(session: string): void {
    const run = this.#take(session);
    if (run !== undefined) this.#later(this.client.commitRun(run));
    this.#later(this.client.hint({ session, event: "waiting" }));
  }

  failed(session: string): void {
    const run = this.#take(session);
    if (run !== undefined) this.#later(this.client.abort({ run }));
  }

  end(session: string): void {
    this.failed(session);
    this.#later(this.client.hint({ session, event: "end" }));
  }

  /** Turns that never ended leave nothing; what is on its way arrives. */
  async dispose(): Promise<void> {
    for (const session of [...this.#runs.keys()]) this.end(session);
    await Promise.allSettled(this.#ending);
  }

  #take(session: string): string | undefined {
    const run = this.#runs.get(session);
    this.#runs.delete(session);
    return run;
  }

  #later(call: Promise<unknown>): void {
    this.#ending.add(call);
    void call.finally(() => this.#ending.delete(call));
  }
}
