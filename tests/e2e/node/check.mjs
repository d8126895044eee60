// What the scripts share: the address, a strict reader of our header fields, and one line of JSON as the result.
import assert from "node:assert/strict";

export const root = process.env.GATEWAY_ROOT;
assert.ok(root, "GATEWAY_ROOT is not set: run by test_node_sdks.py");

// `response` is a fetch Response: true for a hit, with all the fields that a hit carries.
export function isHit(response) {
  const status = response.headers.get("cache-status") ?? "";
  assert.match(status, /^payonce; (hit|fwd=[a-z]+)(; [a-z-]+(=[^;]+)?)*$/);
  const hit = status.startsWith("payonce; hit");
  if (hit) {
    assert.match(status, /; detail=exact/);
    assert.match(response.headers.get("age") ?? "", /^\d+$/);
    assert.match(response.headers.get("x-payonce-saved") ?? "", /^input=\d+,output=\d+,usd=[\d.]+$/);
  }
  return hit;
}

export function report(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
