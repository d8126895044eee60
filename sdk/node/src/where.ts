// What the environment says. Where the instance is: PAYONCE_SOCKET, else the default socket of a loopback PAYONCE_URL,
// else that URL by HTTP. How long a lookup may take: PAYONCE_TIMEOUT_MS.
import { statSync } from "node:fs";

export interface Place {
  url: URL;
  /** Wins over the URL's default socket. */
  socket?: string;
}

const DEFAULT_URL = "http://127.0.0.1:4141";
const LOOKUP_TIMEOUT_MS = 50;
const DECIMAL = /^[0-9]+(\.[0-9]+)?$/; // what all clients of Payonce read alike

export function place(url: string | undefined, socket: string | undefined): Place {
  const named = socket ?? process.env.PAYONCE_SOCKET;
  const found = { url: new URL(url || process.env.PAYONCE_URL || DEFAULT_URL) };
  return named ? { ...found, socket: named } : found;
}

/** Throws when the variable is wrong, as place() does. */
export function lookupTimeoutMs(): number {
  const told = process.env.PAYONCE_TIMEOUT_MS;
  if (!told) return LOOKUP_TIMEOUT_MS;
  const ms = DECIMAL.test(told) ? Number(told) : 0;
  if (ms > 0 && Number.isFinite(ms)) return ms;
  throw new TypeError(`PAYONCE_TIMEOUT_MS is '${told}', no positive number of milliseconds, such as 200`);
}

/** The socket to try, or undefined: then it is HTTP. */
export function socketOf(place: Place): string | undefined {
  if (place.socket) return place.socket;
  if (place.url.protocol !== "http:" || !isLoopback(place.url.hostname)) return undefined;
  const path = defaultSocket(place.url);
  return path && isOwnSocket(path) ? path : undefined;
}

function defaultSocket(url: URL): string | undefined {
  const user = process.getuid?.();
  if (user === undefined) return undefined;
  const folder = process.env.XDG_RUNTIME_DIR ? `${process.env.XDG_RUNTIME_DIR}/payonce` : `/tmp/payonce-${user}`;
  return `${folder}/${url.port || "80"}.sock`;
}

// Anyone can put a socket into /tmp: one of another user would read what is asked, and answer as it likes.
function isOwnSocket(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isSocket() === true && (stat.uid === process.getuid?.() || stat.uid === 0);
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}
