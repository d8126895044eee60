// Before packing: puts the program of PAYONCE_BINARY into the package, and the licence. Without PAYONCE_BINARY the
// package carries none and uses the one that is installed.
import { chmodSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

rmSync(folder("bin"), { recursive: true, force: true });
const binary = process.env.PAYONCE_BINARY;
if (binary) {
  mkdirSync(folder("bin"));
  copyFileSync(binary, folder("bin/payonce"));
  chmodSync(folder("bin/payonce"), 0o755);
}
copyFileSync(folder("../../LICENSE"), folder("LICENSE"));
