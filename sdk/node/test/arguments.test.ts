import assert from "node:assert/strict";
import { test } from "node:test";
import { checkArguments, ownDefinition } from "../src/opencode/arguments.js";

test("arguments that are missing, of another type or not known are told to the model", () => {
  checkArguments("read", { filePath: "a.py", offset: 2 });
  checkArguments("grep", { pattern: "x", path: undefined, include: null });
  assert.throws(() => checkArguments("read", {}), /^Error: filePath is required$/);
  assert.throws(() => checkArguments("read", { filePath: "a.py", limit: "9" }), /limit: expected a number, got "9"/);
  assert.throws(
    () => checkArguments("glob", { pattern: "*", include: "*" }),
    /include: not an argument of glob; there are pattern, path/,
  );
});

test("a definition of one's own names every argument", () => {
  assert.deepEqual(ownDefinition("grep").jsonSchema, {
    type: "object",
    properties: {
      pattern: { type: "string", description: "What to look for" },
      path: { type: "string", description: "The directory to look in; by default the project's" },
      include: { type: "string", description: "File pattern to include" },
    },
    required: ["pattern"],
  });
});
