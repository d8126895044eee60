// Runs the real OpenCode headless, in a throw-away home, with the plugin as its package is built here.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { environment } from "./instance.js";

const require = createRequire(import.meta.url);
const PACKAGE = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

// The launcher wants a step after installing that npm may not be allowed to take; the program itself is this.
const program = () =>
  join(dirname(require.resolve(`opencode-linux-${process.arch}/package.json`)), "bin", "opencode");
const ripgrep = () => join(dirname(require.resolve(`@vscode/ripgrep-linux-${process.arch}/package.json`)), "bin");

export class Workspace {
  readonly home = mkdtempSync(join(tmpdir(), "payonce-opencode-"));
  readonly project = join(this.home, "project");

  constructor(files: Record<string, string>) {
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    // As if OpenCode had fetched its plugin library already, which it otherwise waits for, for up to a minute.
    const config = join(this.home, ".config", "opencode");
    mkdirSync(join(config, "node_modules"), { recursive: true });
    const root = { dependencies: { "@opencode-ai/plugin": "1.18.33" } };
    writeFileSync(join(config, "package-lock.json"), JSON.stringify({ packages: { "": root } }));
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", this.project, "-c", "user.name=t", "-c", "user.email=t@localhost", ...args]);
    git("init", "-q");
    git("add", "-A");
    git("commit", "-q", "-m", "first");
  }

  write(path: string, text: string): void {
    const whole = join(this.project, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, text);
  }
}

export interface Setup {
  workspace: Workspace;
  baseURL: string;
  plugin?: Record<string, unknown>;
  env?: Record<string, string>;
}

export interface Ran {
  code: number | null;
  output: string;
  errors: string;
}

export async function opencode(setup: Setup, prompt: string): Promise<Ran> {
  const config = {
    model: "scripted/m",
    small_model: "scripted/m",
    autoupdate: false,
    share: "disabled",
    plugin: setup.plugin === undefined ? [] : [[`file://${PACKAGE}`, setup.plugin]],
    provider: {
      scripted: {
        npm: "@ai-sdk/openai-compatible",
        options: { baseURL: setup.baseURL, apiKey: "sk-opencode" },
        models: { m: { name: "m", limit: { context: 100_000, output: 4096 } } },
      },
    },
  };
  const env = environment(setup.workspace.home, {
    OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    PATH: `${ripgrep()}${delimiter}${process.env.PATH}`,
    PWD: setup.workspace.project,
    ...setup.env,
  });
  const child = spawn(program(), ["run", "--print-logs", "--log-level", "WARN", prompt], {
    cwd: setup.workspace.project,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (part) => {
    output += part;
  });
  child.stderr.on("data", (part) => {
    errors += part;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, output, errors };
}
