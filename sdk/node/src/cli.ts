#!/usr/bin/env node
// `npx payonce …`: the program that this package carries, or that is installed.
import { spawn } from "node:child_process";
import { findBinary } from "./binary.js";

const binary = findBinary();
if (binary === undefined) {
  console.error(
    "payonce: this package carries no program for this machine; set PAYONCE_BINARY, or put payonce into the PATH",
  );
  process.exit(1);
}
const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`payonce: ${binary}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
