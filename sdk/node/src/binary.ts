// Finds the program, and runs one for as long as this process lives.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, closeSync, constants, mkdirSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";

const START_WITHIN_MS = 5000;

/** PAYONCE_BINARY, else that of the package for this platform, else `payonce` in the path. */
export function findBinary(): string | undefined {
  if (process.env.PAYONCE_BINARY) return process.env.PAYONCE_BINARY;
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return [...carried(), ...folders.map((folder) => join(folder, "payonce"))].find(isProgram);
}

// The optional package beside this one, of which npm installs the one that fits the machine.
function carried(): string[] {
  try {
    const found = createRequire(import.meta.url).resolve(`payonce-${process.platform}-${process.arch}/package.json`);
    return [join(dirname(found), "program", "bin", "payonce")];
  } catch {
    return [];
  }
}

// A script of that name is a launcher, such as this package's own, which would look for the program once more.
function isProgram(path: string): boolean {
  let descriptor: number | undefined;
  try {
    accessSync(path, constants.X_OK);
    descriptor = openSync(path, "r");
    const head = Buffer.alloc(2);
    return readSync(descriptor, head, 0, 2, 0) === 2 && head.toString("latin1") !== "#!";
  } catch {
    return false;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

export interface Upstreams {
  openai: string;
  anthropic?: string;
}

// Answers of one upstream must not be another's, so each has its own folder.
function dataDirectory(upstreams: Upstreams): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const base = process.env.PAYONCE_HOME ?? join(cache, "payonce");
  const name = createHash("sha256").update(JSON.stringify(upstreams)).digest("hex").slice(0, 16);
  return join(base, "wrapped", name);
}

// The shell ends the program when its own input ends, which it does however this process ends. The program alone holds
// the output, so that its end is seen.
const KEEPER = `trap '' INT
"$@" </dev/null &
child=$!
exec >/dev/null 2>&1
read -r _
kill "$child" 2>/dev/null
wait "$child"`;

/** The root URL of a new instance that is ready, or undefined when none could be started. Never throws. */
export async function startInstance(upstreams: Upstreams, flags: readonly string[] = []): Promise<URL | undefined> {
  const binary = findBinary();
  if (binary === undefined) return undefined;
  try {
    const data = dataDirectory(upstreams);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const args = ["serve", "--upstream", upstreams.openai, "--listen", "127.0.0.1:0", "--data", data];
    if (upstreams.anthropic !== undefined) args.push("--upstream-anthropic", upstreams.anthropic);
    const root = await listening(binary, [...args, ...flags]);
    return root && (await isReady(root)) ? root : undefined;
  } catch {
    return undefined;
  }
}

function listening(binary: string, args: string[]): Promise<URL | undefined> {
  // PAYONCE_… configures an instance of the user's own, and would be taken for this one's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^PAYONCE_(?!HOME$)/.test(name)));
  const child = spawn("/bin/sh", ["-c", KEEPER, "payonce", binary, ...args], {
    env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.unref();
  const pipes = [child.stdin, child.stdout, child.stderr] as unknown as { unref(): void }[];
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(undefined), START_WITHIN_MS);
    let log = "";
    const done = (root: URL | undefined) => {
      clearTimeout(timer);
      for (const pipe of pipes) pipe.unref();
      if (root === undefined) child.stdin.end();
      resolve(root);
    };
    const read = (text: string) => {
      if (log.length > 65_536) return; // it goes on logging; nobody reads that
      log += text;
      const url = /listening on (http:\/\/\S+)/.exec(log)?.[1];
      if (url !== undefined) done(new URL(url));
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    child.stdin.on("error", () => {});
    child.on("error", () => done(undefined));
    child.stderr.on("end", () => done(undefined));
  });
}

async function isReady(root: URL): Promise<boolean> {
  const end = performance.now() + START_WITHIN_MS;
  while (performance.now() < end) {
    const answer = await fetch(new URL("/readyz", root), { signal: AbortSignal.timeout(1000) }).catch(
      () => undefined,
    );
    if (answer?.status === 200) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
