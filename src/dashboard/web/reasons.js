// Why requests were not answered from a cache, since the process started.

import {cell, el, replace, rowHead, table} from "./dom.js";
import * as format from "./format.js";

export const EXACT = {
  cold: "not stored yet",
  expired: "the stored answer had expired",
  stale: "older than the caller takes",
  fault: "a fault of the cache",
  off: "layer off, or sampled",
  no_cache: "the caller said no-cache",
  max_age: "older than the caller takes",
};
export const SEMANTIC = {
  empty: "no such question yet",
  far: "nothing near",
  conflict: "a number, name or negation differs",
  uncertain: "not sure enough",
  gone: "the answer is gone",
  fault: "a fault of the layer",
  sampled: "not asked: does not pay here",
  serve: "served",
};

export function makeReasons() {
  const rows = table("Why requests missed, since the start", [
    {name: "Layer"},
    {name: "Reason"},
    {name: "Requests", kind: "number"},
  ]);
  const note = el("p", {class: "note"});
  const node = el("div", {}, el("h3", {text: "Why requests missed"}), rows.whole, note);

  function refresh({stats}) {
    const {exact, semantic} = stats.layers;
    const all = [
      ...Object.entries(exact.reasons).map(([name, number]) => ["Exact", EXACT[name] ?? name, number]),
      ["Exact", "bypassed by policy or caller", exact.bypassed],
      ...Object.entries(semantic?.reasons ?? {}).map(([name, number]) => [
        "Semantic",
        SEMANTIC[name] ?? name,
        number,
      ]),
    ];
    const seen = all.filter(([, , number]) => number > 0).sort((a, b) => b[2] - a[2]);
    replace(
      rows.body,
      seen.length
        ? seen.map(([layer, reason, number]) =>
            el(
              "tr",
              {},
              rowHead(el("span", {class: "mark layer-" + layer.toLowerCase()}), layer),
              cell("", reason),
              cell("number", format.count(number)),
            ),
          )
        : el("tr", {}, el("td", {colspan: 3, class: "soft", text: "No miss yet."})),
    );
    note.textContent =
      "Since the start" +
      (exact.collapsed ? "; " + format.count(exact.collapsed) + " joined an equal request in flight" : "");
  }
  return {node, refresh};
}
