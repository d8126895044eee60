import { resolve } from "node:path";
import type { Dependency } from "./types.js";

/** The bytes of one file. */
export const file = (path: string): Dependency => ({ type: "file", path: resolve(path) });

/** The names below a directory, recursively, without .git. */
export const dir = (path: string): Dependency => ({ type: "dir", path: resolve(path) });

/** A repository: HEAD plus the content of changed and untracked files. */
export const git = (path: string): Dependency => ({ type: "git", path: resolve(path) });

/** An epoch or digest of your own, such as value("kb", "2026-11"). */
export const value = (name: string, is: unknown): Dependency => ({ type: "value", name, value: is });
