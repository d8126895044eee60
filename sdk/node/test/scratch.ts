import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new folder that is gone with the process. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "payonce-node-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
