// In words: which way a request took, and why it missed.

import {EXACT, SEMANTIC} from "./reasons.js";

const HITS = {exact: "exact hit", semantic: "semantic hit", retrieval: "retrieval hit"};
const REFUSED = {
  bad: "malformed",
  auth: "unknown key",
  limit: "too many in flight",
  rate: "rate limit",
  budget: "budget spent",
  route: "no upstream for it",
  only_if_cached: "only-if-cached",
  internal: "a fault of the gateway",
};

// {text, layer}: layer is the class of the mark.
export function way(request) {
  if (request.outcome === "hit") return {text: HITS[request.layer] ?? "hit", layer: request.layer};
  if (request.outcome === "refused") return {text: "refused", layer: "refused"};
  if (request.status >= 400)
    return {text: request.status === 499 ? "client left" : "failed, " + request.status, layer: "refused"};
  if (request.collapsed) return {text: "joined in flight", layer: "exact"};
  return {text: request.upstream ? "from " + request.upstream : "upstream", layer: "upstream"};
}

export function why(request) {
  if (request.outcome === "hit") return "";
  if (request.outcome === "refused") return REFUSED[request.reason] ?? request.reason ?? "";
  if (!request.reason) return "passed through";
  if (request.reason === "cold" && request.semantic) return SEMANTIC[request.semantic] ?? request.semantic;
  return EXACT[request.reason] ?? request.reason;
}
