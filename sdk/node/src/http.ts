// HTTP, where there is no Unix socket: one request a call, connections kept.
import * as http from "node:http";
import * as https from "node:https";
import { PayonceError, unavailable } from "./errors.js";
import type { Verb } from "./frames.js";
import { type ErrorBody, type OnLate, type Transport, Waiting } from "./transport.js";

const MAX_CONNECTIONS = 16;
const LATE_MS = 5000; // how long an answer that came too late may still come, to give its ticket back

export class HttpTransport implements Transport {
  readonly #request: typeof http.request;
  readonly #agent: http.Agent;

  constructor(
    private readonly url: URL,
    private readonly credential: string | undefined,
    private readonly onLate: OnLate,
  ) {
    const module = url.protocol === "https:" ? https : http;
    this.#request = module.request;
    this.#agent = new module.Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
  }

  call(verb: Verb, body: string, timeoutMs: number): Promise<unknown> {
    let request: http.ClientRequest;
    const waiting = new Waiting(verb, timeoutMs, this.onLate, () => {
      request.socket?.unref();
      setTimeout(() => request.destroy(), LATE_MS).unref();
    });
    const send = (): void => {
      request = this.#send(verb, body, waiting);
      request.on("error", (cause: NodeJS.ErrnoException) => {
        // The instance closed a connection that was kept, at the moment of its use: most likely it has not
        // seen the request, and if it has, seeing it again does no harm.
        if (request.reusedSocket && cause.code === "ECONNRESET" && waiting.isWaiting) send();
        else waiting.reject(unavailable(this.url.origin, cause));
      });
    };
    send();
    return waiting.promise;
  }

  #send(verb: Verb, body: string, waiting: Waiting): http.ClientRequest {
    const isRead = verb === "stats";
    const headers: http.OutgoingHttpHeaders = isRead
      ? {}
      : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    if (this.credential !== undefined) headers.authorization = `Bearer ${this.credential}`;
    const url = new URL(`${this.url.pathname.replace(/\/$/, "")}/payonce/v1/${verb}`, this.url);
    const request = this.#request(url, { method: isRead ? "GET" : "POST", headers, agent: this.#agent });
    request.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", (cause) => waiting.reject(unavailable(this.url.origin, cause)));
      response.on("end", () => {
        try {
          waiting.resolve(read(response.statusCode ?? 0, Buffer.concat(parts).toString("utf8")));
        } catch (error) {
          waiting.reject(error as PayonceError);
        }
      });
    });
    request.end(isRead ? undefined : body);
    return request;
  }

  close(): void {
    this.#agent.destroy();
  }
}

// Throws PayonceError.
function read(status: number, body: string): unknown {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    throw new PayonceError("malformed", `HTTP ${status} without JSON: ${body.slice(0, 200)}`, status);
  }
  if (status === 200) return answer;
  const { type, message } = (answer as ErrorBody).error ?? {};
  throw new PayonceError(type ?? "http", message ?? `HTTP ${status}`, status);
}
