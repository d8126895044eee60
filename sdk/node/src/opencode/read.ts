// The tool `read`: a file with numbered lines, a directory's names, an image or PDF as attachment.
import { createReadStream } from "node:fs";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import type { ToolAttachment, ToolContext } from "@opencode-ai/plugin";
import type { Target } from "./place.js";

const MAX_LINES = 2000;
const MAX_LINE = 2000;
const MAX_BYTES = 50 * 1024;
const SAMPLE_BYTES = 4096;

export interface ReadArguments {
  filePath: string;
  offset?: number;
  limit?: number;
}

export interface ToolOutput {
  title: string;
  output: string;
  metadata: Record<string, unknown>;
  attachments?: ToolAttachment[];
}

export async function readTarget(args: ReadArguments, where: Target, context: ToolContext): Promise<ToolOutput> {
  const title = relative(context.worktree, where.path);
  if (where.kind === undefined) throw new Error(await missing(where.path));
  if (where.kind === "directory") return { title, ...(await readDirectory(args, where.path)) };
  const sample = await firstBytes(where.path, where.size);
  const mime = attachedType(where.path, sample);
  if (mime !== undefined) return { title, ...(await attach(where.path, mime)) };
  if (isBinary(sample)) throw new Error(`Cannot read binary file: ${where.path}`);
  return { title, ...(await readLines(args, where.path)) };
}

async function missing(path: string): Promise<string> {
  const wanted = basename(path).toLowerCase();
  const names = await readdir(dirname(path)).catch(() => []);
  const similar = names.filter((name) => wanted.includes(name.toLowerCase()) || name.toLowerCase().includes(wanted));
  const hint = similar.slice(0, 3).map((name) => join(dirname(path), name));
  const tail = hint.length > 0 ? `\n\nDid you mean one of these?\n${hint.join("\n")}` : "";
  return `File not found: ${path}${tail}`;
}

async function readDirectory(args: ReadArguments, path: string): Promise<Omit<ToolOutput, "title">> {
  const found = await readdir(path, { withFileTypes: true });
  const names = await Promise.all(
    found.map(async (one) => {
      const isLink = one.isSymbolicLink();
      const isFolder = isLink
        ? await stat(join(path, one.name)).then(
            (target) => target.isDirectory(),
            () => false,
          )
        : one.isDirectory();
      return isFolder ? `${one.name}/` : one.name;
    }),
  );
  names.sort((left, right) => left.localeCompare(right));
  const offset = args.offset || 1;
  const shown = names.slice(offset - 1, offset - 1 + (args.limit ?? MAX_LINES));
  const truncated = offset - 1 + shown.length < names.length;
  const end = truncated
    ? `\n(Showing ${shown.length} of ${names.length} entries. Use 'offset' parameter to read beyond entry ${offset + shown.length})`
    : `\n(${names.length} entries)`;
  const output = [`<path>${path}</path>`, "<type>directory</type>", "<entries>", shown.join("\n"), end, "</entries>"];
  const display = { type: "directory", path, entries: shown, offset, totalEntries: names.length, truncated };
  const preview = shown.slice(0, 20).join("\n");
  return { output: output.join("\n"), metadata: { preview, truncated, loaded: [], display } };
}

async function firstBytes(path: string, size: number): Promise<Buffer> {
  const handle = await open(path);
  try {
    const buffer = Buffer.alloc(Math.min(SAMPLE_BYTES, size));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

const MAGIC: [string, string][] = [
  ["image/png", "89504e470d0a1a0a"],
  ["image/jpeg", "ffd8ff"],
  ["image/gif", "47494638"],
  ["application/pdf", "255044462d"],
];

function attachedType(path: string, sample: Buffer): string | undefined {
  const hex = sample.subarray(0, 12).toString("hex");
  if (hex.startsWith("52494646") && hex.endsWith("57454250")) return "image/webp";
  if (extname(path).toLowerCase() === ".pdf") return "application/pdf";
  return MAGIC.find(([, magic]) => hex.startsWith(magic))?.[0];
}

async function attach(path: string, mime: string): Promise<Omit<ToolOutput, "title">> {
  const url = `data:${mime};base64,${(await readFile(path)).toString("base64")}`;
  const output = mime === "application/pdf" ? "PDF read successfully" : "Image read successfully";
  return {
    output,
    metadata: { preview: output, truncated: false, loaded: [] },
    attachments: [{ type: "file", mime, url }],
  };
}

function isBinary(sample: Buffer): boolean {
  if (sample.includes(0)) return true;
  const odd = sample.filter((byte) => byte < 9 || (byte > 13 && byte < 32)).length;
  return sample.length > 0 && odd / sample.length > 0.3;
}

async function readLines(args: ReadArguments, path: string): Promise<Omit<ToolOutput, "title">> {
  const offset = args.offset || 1;
  const limit = args.limit ?? MAX_LINES;
  const lines: string[] = [];
  let count = 0;
  let bytes = 0;
  let isCut = false;
  const input = createReadStream(path, { encoding: "utf8" });
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    count += 1;
    if (count < offset || lines.length >= limit) continue;
    const short =
      line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}... (line truncated to ${MAX_LINE} chars)` : line;
    bytes += Buffer.byteLength(short) + (lines.length > 0 ? 1 : 0);
    isCut = bytes > MAX_BYTES;
    if (isCut) break;
    lines.push(short);
  }
  input.destroy();
  if (count < offset && !(count === 0 && offset === 1)) {
    throw new Error(`Offset ${offset} is out of range for this file (${count} lines)`);
  }
  const last = offset + lines.length - 1;
  const truncated = isCut || last < count;
  const display = { type: "file", path, text: lines.join("\n"), lineStart: offset, lineEnd: last };
  const content = lines.map((line, index) => `${offset + index}: ${line}`).join("\n");
  const end = endNote(isCut, truncated, offset, last, count);
  return {
    output: `<path>${path}</path>\n<type>file</type>\n<content>\n${content}\n\n${end}\n</content>`,
    metadata: {
      preview: lines.slice(0, 20).join("\n"),
      truncated,
      loaded: [],
      display: { ...display, totalLines: count, truncated },
    },
  };
}

function endNote(isCut: boolean, truncated: boolean, first: number, last: number, count: number): string {
  const next = `Use offset=${last + 1} to continue.`;
  if (isCut) return `(Output capped at ${MAX_BYTES / 1024} KB. Showing lines ${first}-${last}. ${next})`;
  if (truncated) return `(Showing lines ${first}-${last} of ${count}. ${next})`;
  return `(End of file - total ${count} lines)`;
}
