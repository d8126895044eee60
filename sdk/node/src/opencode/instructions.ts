// Notes such as AGENTS.md that stand in a folder between the project and a file that is read: OpenCode shows them with
// the first file of that folder. They belong to the session, so they are added to a result and never stored with it.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isBelow } from "./place.js";

const NAMES = ["AGENTS.md", "CLAUDE.md", "CONTEXT.md"];

export class Instructions {
  readonly #shown = new Map<string, Set<string>>(); // by session

  async of(path: string, project: string, session: string): Promise<{ path: string; text: string }[]> {
    const shown = this.#shown.get(session) ?? new Set<string>();
    this.#shown.set(session, shown);
    const notes: { path: string; text: string }[] = [];
    for (let folder = dirname(path); folder !== project && isBelow(project, folder); folder = dirname(folder)) {
      const note = NAMES.map((name) => join(folder, name)).find((name) => existsSync(name));
      if (note === undefined || note === path || shown.has(note)) continue;
      shown.add(note);
      const text = await readFile(note, "utf8").catch(() => "");
      if (text) notes.push({ path: note, text: `Instructions from: ${note}\n${text}` });
    }
    return notes;
  }

  /** After a compaction, or at the end: they are no longer in the conversation. */
  forget(session: string): void {
    this.#shown.delete(session);
  }
}
