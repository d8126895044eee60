// A frame: 1 byte verb, 4 bytes big-endian body length, JSON body.

export const VERBS = { lookup: "L", commit: "C", abort: "A", invalidate: "I", hint: "H", stats: "S" } as const;
export type Verb = keyof typeof VERBS;

export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const HEAD_BYTES = 5;

export function encode(verb: string, body: string): Buffer {
  const size = Buffer.byteLength(body);
  const frame = Buffer.allocUnsafe(HEAD_BYTES + size);
  frame.write(verb, 0, 1, "latin1");
  frame.writeUInt32BE(size, 1);
  frame.write(body, HEAD_BYTES);
  return frame;
}

export interface Frame {
  verb: string;
  body: string;
}

/** Bytes in, whole frames out. Throws RangeError for a frame over the limit. */
export class Decoder {
  #parts: Buffer[] = [];
  #size = 0;

  *push(bytes: Buffer): Generator<Frame> {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    for (;;) {
      if (this.#size < HEAD_BYTES) return;
      if ((this.#parts[0] as Buffer).length < HEAD_BYTES) this.#join();
      const head = this.#parts[0] as Buffer;
      const length = head.readUInt32BE(1);
      if (length > MAX_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes; at most ${MAX_FRAME_BYTES}`);
      if (this.#size < HEAD_BYTES + length) return;
      const all = this.#join();
      const end = HEAD_BYTES + length;
      this.#parts = [all.subarray(end)];
      this.#size = all.length - end;
      yield { verb: String.fromCharCode(all[0] as number), body: all.toString("utf8", HEAD_BYTES, end) };
    }
  }

  #join(): Buffer {
    const all = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    this.#parts = [all];
    return all;
  }
}
