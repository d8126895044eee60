// A socket that speaks the frames as a test scripts it: for what a real instance does not do on demand (being slow,
// hanging up, answering wrongly). What a real one does is tested against the real binary.
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { Decoder, encode, type Frame } from "../src/frames.js";
import { scratch } from "./scratch.js";

export type Answer = (frame: Frame, connection: Socket) => void | Promise<void>;

export class ScriptedInstance {
  readonly path = join(scratch(), "s.sock");
  readonly frames: Frame[] = [];
  connections = 0;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(answer: Answer) {
    this.#server = createServer((connection) => {
      this.connections += 1;
      this.#open.add(connection);
      const decoder = new Decoder();
      let last = Promise.resolve();
      connection.on("error", () => {});
      connection.on("close", () => this.#open.delete(connection));
      connection.on("data", (bytes: Buffer) => {
        for (const frame of decoder.push(bytes)) {
          this.frames.push(frame);
          if (frame.verb === "K") connection.write(encode("K", '{"status":"ok"}'));
          else last = last.then(() => answer(frame, connection));
        }
      });
    });
  }

  async start(): Promise<this> {
    this.#server.listen(this.path);
    await once(this.#server, "listening");
    return this;
  }

  async stop(): Promise<void> {
    for (const connection of this.#open) connection.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export function say(connection: Socket, verb: string, body: unknown): void {
  connection.write(encode(verb, JSON.stringify(body)));
}

export async function until(check: () => boolean, what: string, timeoutMs = 60_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!check()) {
    if (performance.now() > end) throw new Error(`still not after ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
