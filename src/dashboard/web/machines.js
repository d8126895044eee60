// Who computes answers: the upstreams, and the blocks of an engine inside.

import {cell, el, replace, rowHead, table} from "./dom.js";
import {parts} from "./chart.js";
import * as format from "./format.js";

function engineView(engine) {
  const {used, cached, free} = engine.blocks,
    all = used + cached + free || 1;
  const reuse = engine.prompt_tokens ? engine.hit_tokens / engine.prompt_tokens : 0;
  return el(
    "div",
    {class: "engine"},
    el("h4", {text: "Engine: " + engine.model}),
    parts(
      [
        {share: used / all, kind: "layer-engine"},
        {share: cached / all, kind: "layer-engine weak"},
      ],
      `${used} KV blocks used, ${cached} cached, ${free} free`,
    ),
    el(
      "p",
      {class: "key"},
      el("span", {class: "mark layer-engine"}),
      format.count(used) + " KV blocks used",
      el("span", {class: "mark layer-engine weak"}),
      format.count(cached) + " cached",
      el("span", {class: "mark track"}),
      format.count(free) + " free",
    ),
    el("p", {
      class: "note",
      text:
        (engine.ready ? "" : "Loading the model. ") +
        `${engine.running} running, ${engine.waiting} waiting; ` +
        `${format.percent(reuse)} of ${format.compact(engine.prompt_tokens)} prompt tokens reused; ` +
        `${format.count(engine.evictions)} evictions`,
    }),
  );
}

export function makeMachines() {
  const rows = table("Upstreams", [
    {name: "Upstream"},
    {name: "State"},
    {name: "In flight", kind: "number"},
    {name: "Answers", kind: "number"},
  ]);
  const engine = el("div");
  const node = el("div", {}, el("h3", {text: "Upstreams"}), rows.whole, engine);

  function refresh({upstreams, stats}) {
    replace(
      rows.body,
      upstreams.upstreams.map(one =>
        el(
          "tr",
          {},
          rowHead(
            el("span", {class: "name", title: one.base_url ?? "inside this process", text: one.name}),
            one.us_per_token
              ? el("span", {class: "note block", text: format.took(one.us_per_token) + " per 1k new tokens"})
              : null,
          ),
          cell(
            "nowrap",
            one.breaker === "open"
              ? el("span", {class: "bad", text: "failing, left alone"})
              : el("span", {class: "good", text: "healthy"}),
          ),
          cell("number", format.count(one.in_flight ?? 0)),
          cell("number", format.compact(one.requests ?? 0)),
        ),
      ),
    );
    replace(engine, stats.engine ? engineView(stats.engine) : null);
  }
  return {node, refresh};
}
