// The real binary, as each test wants it.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { scratch } from "./scratch.js";
import { until } from "./scripted-instance.js";

export function binary(): string {
  const path = process.env.PAYONCE_BINARY ?? "";
  assert.ok(path, "PAYONCE_BINARY names no program: build Payonce and set it");
  accessSync(path, constants.X_OK);
  return path;
}

/** None of the ports that the system gives to connections, so that it is still free when a program is started. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const probe = createServer().listen(port, "127.0.0.1");
    try {
      await once(probe, "listening");
    } catch {
      continue; // taken
    }
    probe.close();
    await once(probe, "close");
    return port;
  }
}

/** The test's own environment without what would configure Payonce, and with all its files in `home`. */
export function environment(home: string, more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PAYONCE_|XDG_|OPENCODE|OTEL_)/.test(name));
  return { ...Object.fromEntries(kept), HOME: home, PAYONCE_HOME: home, XDG_RUNTIME_DIR: home, ...more };
}

export class Instance {
  readonly home = scratch();
  port = 0;
  #process: ChildProcess | undefined;
  #log = "";
  #begun = 0;

  constructor(private readonly flags: string[]) {}

  async start(): Promise<this> {
    this.port ||= await freePort();
    this.#begun = this.#log.length;
    const args = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data", join(this.home, "data"), ...this.flags];
    const child = spawn(binary(), args, { env: environment(this.home), stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    const note = (part: Buffer) => {
      this.#log += part.toString();
    };
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    const end = Date.now() + 60_000;
    for (;;) {
      assert.equal(child.exitCode, null, `it ended at start:\n${this.#log}`);
      const ready = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (ready?.status === 200) return this;
      assert.ok(Date.now() < end, `not ready after 60 s:\n${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Until what lies on its disk is found again, which requests do not wait for. */
  async scanned(): Promise<void> {
    await until(() => this.#log.slice(this.#begun).includes(" entries in "), "the response log is read");
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get socket(): string {
    return join(this.home, "payonce", `${this.port}.sock`);
  }

  get log(): string {
    return this.#log;
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    child.kill("SIGTERM");
    await once(child, "exit");
    clearTimeout(timer);
  }
}
