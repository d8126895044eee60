// node scripts/pack.mjs OUT [PROGRAM]: packs `payonce` into OUT; given the folder PROGRAM, as the tarball unpacks it,
// also `payonce-<platform>-<cpu>`, which carries the program and its libraries. `payonce` then names that package as an
// optional one, so that npm takes it on machines that it fits and goes on without it elsewhere.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const sdk = dirname(dirname(fileURLToPath(import.meta.url)));
const [out, program] = process.argv.slice(2).map((path) => resolve(path));
if (out === undefined) throw new Error("usage: pack.mjs OUT [PROGRAM]");
// A program that was built for this machine alone has nothing beside it.
const beside = ["lib/payonce", "share/payonce", "share/doc/payonce/licenses", "share/doc/payonce/payonce.cdx.json"];
const { scripts, devDependencies, ...manifest } = JSON.parse(readFileSync(join(sdk, "package.json"), "utf8"));
const platform = `payonce-${process.platform}-${process.arch}`;
const staging = mkdtempSync(join(tmpdir(), "payonce-pack-"));

function pack(name, description) {
  writeFileSync(join(staging, name, "package.json"), `${JSON.stringify(description, undefined, 2)}\n`);
  cpSync(join(sdk, "..", "..", "LICENSE"), join(staging, name, "LICENSE"));
  const words = ["pack", "--silent", "--pack-destination", out];
  execFileSync("npm", words, { cwd: join(staging, name), stdio: ["ignore", "inherit", "inherit"] });
}

function carry(from, to) {
  for (const path of ["bin/payonce", ...beside.filter((path) => existsSync(join(from, path)))]) {
    cpSync(join(from, path), join(to, path), { recursive: true, dereference: true });
  }
}

try {
  mkdirSync(out, { recursive: true });
  mkdirSync(join(staging, manifest.name));
  for (const path of ["dist", "README.md"]) {
    cpSync(join(sdk, path), join(staging, manifest.name, path), { recursive: true });
  }
  const named = program === undefined ? {} : { optionalDependencies: { [platform]: manifest.version } };
  pack(manifest.name, { ...manifest, ...named });
  if (program !== undefined) {
    carry(program, join(staging, platform, "program"));
    pack(platform, {
      name: platform,
      version: manifest.version,
      description: `The program of the package payonce, for ${process.platform} on ${process.arch}.`,
      license: "SEE LICENSE IN program/share/doc/payonce/licenses",
      os: [process.platform],
      cpu: [process.arch],
      libc: ["glibc"],
      files: ["program"],
    });
  }
} finally {
  rmSync(staging, { recursive: true, force: true });
}
