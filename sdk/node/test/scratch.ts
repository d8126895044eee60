import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made: string[] = [];
process.on("exit", () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A new folder that is gone with the process. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "payonce-node-"));
  made.push(folder);
  return folder;
}
