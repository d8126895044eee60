// The arguments of the tools, as OpenCode 1.18 has them. What is not known here must not be ignored in silence.
import type { ToolName } from "./options.js";

interface Argument {
  type: "string" | "number";
  isRequired?: true;
  description: string;
}

const path: Argument = { type: "string", description: "The directory to look in; by default the project's" };
const pattern: Argument = { type: "string", isRequired: true, description: "What to look for" };

const ARGUMENTS: Record<ToolName, Record<string, Argument>> = {
  read: {
    filePath: { type: "string", isRequired: true, description: "The file or directory to read" },
    offset: { type: "number", description: "The line to start from (1-indexed)" },
    limit: { type: "number", description: "The maximum number of lines" },
  },
  grep: { pattern, path, include: { type: "string", description: "File pattern to include" } },
  glob: { pattern, path },
};

const DESCRIPTIONS: Record<ToolName, string> = {
  read: "Reads a file, with numbered lines, or lists a directory",
  grep: "Searches file contents with a regular expression",
  glob: "Finds files by a glob pattern",
};

/** Throws what the model is told. */
export function checkArguments(tool: ToolName, args: Record<string, unknown>): void {
  const known = ARGUMENTS[tool];
  for (const [name, { type, isRequired }] of Object.entries(known)) {
    const given = args[name];
    if (given === undefined || given === null || given === "") {
      if (isRequired) throw new Error(`${name} is required`);
    } else if (typeof given !== type) throw new Error(`${name}: expected a ${type}, got ${JSON.stringify(given)}`);
  }
  const unknown = Object.keys(args).find((name) => !(name in known));
  if (unknown) throw new Error(`${unknown}: not an argument of ${tool}; there are ${Object.keys(known).join(", ")}`);
}

/** For an OpenCode that has no such tool itself, from which the model would otherwise be told. */
export function ownDefinition(tool: ToolName): { description: string; jsonSchema: unknown } {
  const known = Object.entries(ARGUMENTS[tool]);
  const properties = Object.fromEntries(known.map(([name, { type, description }]) => [name, { type, description }]));
  const required = known.filter(([, { isRequired }]) => isRequired).map(([name]) => name);
  return { description: DESCRIPTIONS[tool], jsonSchema: { type: "object", properties, required } };
}
