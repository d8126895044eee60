// Bytes, URLs and dates as JSON and back, for values that are JSON but for these.

const TAG = "$payonce";

/** JSON that says all of `value`. Throws TypeError for what can't be said: functions, cycles. */
export function toPlain(value: unknown, depth = 0): unknown {
  if (depth > 200) throw new TypeError("a value that is nested too deeply, or in itself");
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : { [TAG]: "number", value: String(value) };
  if (typeof value !== "object") throw new TypeError(`a ${typeof value} is no JSON`);
  if (Array.isArray(value)) return value.map((one) => (one === undefined ? null : toPlain(one, depth + 1)));
  if (value instanceof Date) return { [TAG]: "date", value: value.toISOString() };
  if (value instanceof URL) return { [TAG]: "url", value: value.href };
  if (value instanceof ArrayBuffer) return toPlain(new Uint8Array(value));
  if (value instanceof Uint8Array) {
    return { [TAG]: "bytes", value: Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64") };
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor?.name ?? "class instance"} is no JSON`);
  }
  const said = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([name, one]) => [name, toPlain(one, depth + 1)]);
  const plain = Object.fromEntries(said) as Record<string, unknown>;
  return TAG in plain ? { [TAG]: "object", value: Object.entries(plain) } : plain;
}

export function fromPlain(plain: unknown): unknown {
  if (typeof plain !== "object" || plain === null) return plain;
  if (Array.isArray(plain)) return plain.map(fromPlain);
  const { [TAG]: tag, value } = plain as Record<string, unknown>;
  switch (tag) {
    case undefined:
      return Object.fromEntries(Object.entries(plain).map(([name, one]) => [name, fromPlain(one)]));
    case "number":
      return Number(value);
    case "date":
      return new Date(value as string);
    case "url":
      return new URL(value as string);
    case "bytes":
      return new Uint8Array(Buffer.from(value as string, "base64"));
    case "object":
      return Object.fromEntries((value as [string, unknown][]).map(([name, one]) => [name, fromPlain(one)]));
    default:
      throw new TypeError(`a value of kind "${tag}" is from a newer version of this package`);
  }
}
