/** What the instance answered, or why there is no answer. */
export class PayonceError extends Error {
  override name = "PayonceError";
  constructor(
    /** As in the answer's `error.type`; ours: "unavailable", "timeout", "too_large", "malformed". */
    readonly type: string,
    message: string,
    /** The HTTP status, 0 when there was no answer. */
    readonly status = 0,
  ) {
    super(message);
  }
}

export function unavailable(where: string, cause: unknown): PayonceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PayonceError("unavailable", `no Payonce at ${where}: ${reason}`);
}
