// The Unix socket: frames are pipelined over one connection, answers come in the order of the requests.
import { createConnection, type Socket } from "node:net";
import { PayonceError, unavailable } from "./errors.js";
import { Decoder, encode, type Frame, MAX_FRAME_BYTES, VERBS, type Verb } from "./frames.js";
import { type ErrorBody, type OnLate, type Transport, Waiting } from "./transport.js";

const MAX_WAITING = 4096;

export class SocketTransport implements Transport {
  #socket: Socket | undefined;
  #queue: (Waiting | undefined)[] = []; // undefined: an answer that nobody waits for

  constructor(
    readonly path: string,
    private readonly credential: string | undefined,
    private readonly onLate: OnLate,
  ) {}

  call(verb: Verb, body: string, timeoutMs: number): Promise<unknown> {
    const frame = encode(VERBS[verb], body);
    if (frame.length > MAX_FRAME_BYTES) {
      const message = `a ${verb} of ${frame.length} bytes; a frame has at most ${MAX_FRAME_BYTES}`;
      return Promise.reject(new PayonceError("too_large", message));
    }
    if (this.#queue.length >= MAX_WAITING) {
      return Promise.reject(new PayonceError("unavailable", `${MAX_WAITING} calls wait for an answer already`));
    }
    const socket = this.#connected();
    const waiting = new Waiting(verb, timeoutMs, this.onLate, () => this.#hold());
    this.#queue.push(waiting);
    this.#hold();
    socket.write(frame);
    return waiting.promise;
  }

  close(): void {
    this.#end(new PayonceError("unavailable", "the client was closed"));
  }

  #connected(): Socket {
    if (this.#socket) return this.#socket;
    const socket = createConnection(this.path);
    const decoder = new Decoder();
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      try {
        for (const frame of decoder.push(bytes)) if (this.#socket === socket) this.#take(frame);
      } catch (error) {
        this.#end(new PayonceError("malformed", `answer of ${this.path}: ${error}`));
      }
    });
    const gone = (cause: unknown) => {
      if (this.#socket === socket) this.#end(unavailable(this.path, cause));
    };
    socket.on("error", gone);
    socket.on("close", () => gone("the connection was closed"));
    if (this.credential !== undefined) {
      this.#queue.push(undefined); // a refused one is told by the answers that follow
      socket.write(encode("K", JSON.stringify({ credential: this.credential })));
    }
    return socket;
  }

  // Only a connection that somebody waits for may keep the process alive.
  #hold(): void {
    if (this.#queue.some((one) => one?.isWaiting)) this.#socket?.ref();
    else this.#socket?.unref();
  }

  #take(frame: Frame): void {
    if (this.#queue.length === 0) throw new Error("one that nobody asked for");
    const waiting = this.#queue.shift();
    const answer: unknown = JSON.parse(frame.body);
    if (frame.verb === "X") {
      const { type, message, status } = (answer as ErrorBody).error ?? {};
      waiting?.reject(new PayonceError(type ?? "error", message ?? frame.body, status ?? 500));
    } else {
      waiting?.resolve(answer);
    }
    this.#hold();
  }

  #end(error: PayonceError): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#socket?.destroy();
    this.#socket = undefined;
    for (const waiting of queue) waiting?.reject(error);
  }
}
