// The four headline figures of this day (UTC), from the ledger; added latency from the last hour.

import {el} from "./dom.js";
import * as format from "./format.js";

const BOUGHT = new Set(["upstream", "keep_alive"]); // layers of the ledger that are no savings

// Sums of the ledger's rows: {saved, spent, by layer}.
export function sums(rows) {
  const by = new Map();
  const none = () => ({requests: 0, tokens: 0, usd: 0});
  const total = {saved: none(), spent: none(), by};
  for (const row of rows) {
    const bought = BOUGHT.has(row.layer);
    if (!by.has(row.layer)) by.set(row.layer, none());
    for (const sum of [by.get(row.layer), bought ? total.spent : total.saved]) {
      sum.requests += row.requests;
      sum.tokens += row.input_tokens + row.output_tokens;
      sum.usd += row.usd;
    }
  }
  return total;
}

export function makeToday() {
  const figure = (id, name) => {
    const value = el("dd", {id, class: "figure", text: "–"});
    const note = el("dd", {class: "note"});
    return {value, note, node: el("div", {}, el("dt", {text: name}), value, note)};
  };
  const saved = figure("saved", "Money saved"),
    tokens = figure("tokens", "Tokens not bought"),
    rate = figure("rate", "Hit rate"),
    added = figure("added", "Added latency");
  const node = el(
    "dl",
    {class: "figures"},
    [saved, tokens, rate, added].map(each => each.node),
  );

  function refresh({savings, hour}) {
    const day = sums(savings.rows);
    const bought = day.by.get("upstream") ?? {requests: 0};
    // Lookups of the agent API are no requests: of those that missed the ledger knows nothing.
    const hits = day.saved.requests - (day.by.get("agent")?.requests ?? 0);
    const asked = hits + bought.requests;
    saved.value.textContent = format.money(day.saved.usd);
    saved.note.textContent = "beside " + format.money(day.spent.usd) + " spent";
    tokens.value.textContent = format.compact(day.saved.tokens);
    tokens.note.textContent = "beside " + format.compact(day.spent.tokens) + " bought";
    rate.value.textContent = asked ? format.percent(hits / asked) : "–";
    rate.note.textContent = format.count(hits) + " of " + format.count(asked) + " answers";
    added.value.textContent = hour.added_ms ? format.took(hour.added_ms.p50) : "–";
    added.note.textContent = hour.added_ms
      ? "median of the last hour; 95 % below " + format.took(hour.added_ms.p95)
      : "no request in the last hour";
  }
  return {node, refresh};
}
