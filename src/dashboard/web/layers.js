// What was saved today, by layer: a bar each, by money, or by tokens where nothing has a price.

import {cell, el, replace, rowHead, table} from "./dom.js";
import {parts} from "./chart.js";
import * as format from "./format.js";
import {sums} from "./today.js";

const NAMES = {exact: "Exact", semantic: "Semantic", prefix: "Prefix", retrieval: "Retrieval", agent: "Agent", engine: "Engine"};

export function makeLayers() {
  const rows = table("Saved today by layer", [
    {name: "Layer"},
    {name: "Share", kind: "bar-column"},
    {name: "Hits", kind: "number"},
    {name: "Saved", kind: "number"},
  ]);
  const note = el("p", {class: "note"});
  const node = el("div", {}, el("h3", {text: "Saved by layer"}), rows.whole, note);

  function refresh({stats, savings}) {
    const day = sums(savings.rows);
    // Of an instance without vector stores "retrieval" is a kind of the agent API alone.
    const acts = name => name in stats.layers && !("by_meaning" in stats.layers[name]);
    const layers = Object.keys(NAMES).filter(name => day.by.has(name) || acts(name));
    const weight = day.saved.usd > 0 ? "usd" : "tokens",
      whole = day.saved[weight] || 1;
    replace(
      rows.body,
      layers.map(name => {
        const sum = day.by.get(name) ?? {requests: 0, tokens: 0, usd: 0};
        const counted = day.by.has(name) || name === "exact" || name === "semantic";
        return el(
          "tr",
          {},
          rowHead(el("span", {class: "mark layer-" + name}), NAMES[name]),
          cell(
            "bar-column",
            parts([{share: sum[weight] / whole, kind: "layer-" + name}], format.percent(sum[weight] / whole)),
          ),
          cell("number", format.compact(counted ? sum.requests : stats.layers[name].hits)),
          cell(
            "number",
            counted
              ? weight === "usd"
                ? format.money(sum.usd)
                : format.compact(sum.tokens) + " tokens"
              : "in the bill",
          ),
        );
      }),
    );
    const prefix = stats.layers.prefix?.tokens;
    note.textContent = prefix
      ? "Upstreams read " +
        format.compact(prefix.read) +
        " prompt tokens from their caches since the start, " +
        "which their bills count."
      : "";
  }
  return {node, refresh};
}
