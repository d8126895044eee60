// Runs the real OpenCode headless, in a throw-away home, with the plugin as its package is built here.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { environment } from "./instance.js";
import { scratch } from "./scratch.js";

const require = createRequire(import.meta.url);
export const PACKAGE = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const program = join(PACKAGE, "test/programs/node_modules/opencode-linux-x64/bin/opencode");
const ripgrep = () => join(dirname(require.resolve(`@vscode/ripgrep-linux-${process.arch}/package.json`)), "bin");

export class Workspace {
  readonly home = scratch();
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

/** For test(): why OpenCode cannot be run here, or false. */
export const skip = process.env.PAYONCE_SKIP_AGENTS
  ? "run_tests.sh --agents runs the real OpenCode"
  : process.arch !== "x64" && "test/programs brings OpenCode for x86-64 alone";

export interface Setup {
  workspace: Workspace;
  baseURL: string;
  plugin?: Record<string, unknown>;
  /** Of the provider. Default: OpenAI's chat completions. */
  sdk?: "@ai-sdk/openai-compatible" | "@ai-sdk/anthropic";
  model?: string;
  apiKey?: string;
  env?: Record<string, string>;
}

export interface Ran {
  code: number | null;
  output: string;
  errors: string;
}

/** OpenCode before a scripted provider. */
export function opencode(setup: Setup, prompt: string): Promise<Ran> {
  const limit = { context: 100_000, output: 4096 };
  const config = {
    model: `scripted/${setup.model ?? "m"}`,
    small_model: "scripted/m",
    share: "disabled",
    plugin: setup.plugin === undefined ? [] : [[`file://${PACKAGE}`, setup.plugin]],
    provider: {
      scripted: {
        npm: setup.sdk ?? "@ai-sdk/openai-compatible",
        options: { baseURL: setup.baseURL, apiKey: setup.apiKey ?? "sk-opencode" },
        models: { m: { name: "m", limit }, n: { name: "n", limit } },
      },
    },
  };
  const env = { OPENCODE_CONFIG_CONTENT: JSON.stringify(config), ...setup.env };
  return run(setup.workspace, env, [prompt]);
}

/** OpenCode with this file in its home, where the package is installed. */
export function opencodeWith(
  file: string,
  workspace: Workspace,
  env: Record<string, string>,
  args: string[],
): Promise<Ran> {
  const folder = join(workspace.home, ".config", "opencode");
  writeFileSync(join(folder, "opencode.json"), file);
  const installed = join(folder, "node_modules", "payonce");
  if (!existsSync(installed)) symlinkSync(PACKAGE, installed);
  return run(workspace, env, args);
}

async function run(workspace: Workspace, more: Record<string, string>, args: string[]): Promise<Ran> {
  const env = environment(workspace.home, {
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    PATH: `${ripgrep()}${delimiter}${process.env.PATH}`,
    PWD: workspace.project,
    ...more,
  });
  const child = spawn(program, ["run", "--print-logs", "--log-level", "WARN", ...args], {
    cwd: workspace.project,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
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
