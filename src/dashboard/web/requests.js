// The live list. New rows come to the top; it holds still while paused, and while the keyboard is in it. What came is
// said to screen readers as one sentence now and then, not row by row.

import {cell, el, replace, rowHead, section, table} from "./dom.js";
import {explain} from "./explain.js";
import * as format from "./format.js";
import {way, why} from "./way.js";

const SHOWN = 20,
  HELD = 200,
  DRAW_MS = 250,
  SAY_MS = 10000;

function moneyOf(request) {
  const hit = request.outcome === "hit",
    sum = hit ? request.saved : request.cost;
  const tokens = sum.input_tokens + sum.output_tokens;
  if (!tokens && !sum.usd) return el("span", {class: "soft", text: "–"});
  const text = sum.usd ? format.money(sum.usd) : format.compact(tokens) + " tokens";
  return el("span", {
    class: hit ? "good" : undefined,
    title: format.count(tokens) + " tokens",
    text: hit ? text + " saved" : text,
  });
}

function rowOf(request) {
  const {text, layer} = way(request),
    reason = why(request);
  const open = () => request.id && explain(request);
  const time = request.id
    ? el("button", {
        type: "button",
        class: "row-button",
        "aria-label": "Explain the request of " + format.clock(request.at_ms),
        text: format.clock(request.at_ms),
      })
    : format.clock(request.at_ms);
  const row = el(
    "tr",
    {class: request.id ? "opens" : undefined, onclick: open},
    rowHead(time),
    cell(
      "",
      el("span", {class: "nowrap"}, el("span", {class: "mark layer-" + layer}), text),
      el("span", {
        class: "narrow-line",
        text: [format.took(request.total_ms), request.model, reason].filter(Boolean).join(" · "),
      }),
    ),
    cell("wide", request.model ?? request.dialect),
    cell("wide", reason),
    cell("number wide", format.took(request.total_ms)),
    cell("number", moneyOf(request)),
    cell("wide", el("code", {title: request.scope, text: request.scope ? format.shortScope(request.scope) : "–"})),
  );
  row.dataset.sequence = request.sequence;
  return row;
}

export function makeRequests() {
  const list = table("Requests as they end, newest first", [
    {name: "Time"},
    {name: "Way"},
    {name: "Model", kind: "wide"},
    {name: "Why not from the cache", kind: "wide"},
    {name: "Took", kind: "number wide"},
    {name: "Cost or saved", kind: "number"},
    {name: "Scope", kind: "wide"},
  ]);
  const pause = el("button", {type: "button", class: "quiet", "aria-pressed": "false", text: "Pause"});
  const filter = el(
    "select",
    {id: "way-filter"},
    [
      ["", "all"],
      ["hit", "hits"],
      ["miss", "not from the cache"],
      ["failed", "failed or refused"],
    ].map(([value, text]) => el("option", {value, text})),
  );
  const held = el("span", {class: "soft"});
  const said = el("p", {class: "unseen", role: "status", "aria-live": "polite"});
  const node = section(
    "requests",
    "Requests",
    el("div", {class: "tools"}, el("label", {for: "way-filter", text: "Show"}), filter, pause, held),
    said,
    el("div", {class: "card flush"}, list.whole),
  );
  let all = [],
    fresh = 0,
    hits = 0,
    drawing = null,
    paused = false;

  const matches = request =>
    !filter.value ||
    (filter.value === "hit"
      ? request.outcome === "hit"
      : filter.value === "failed"
        ? request.status >= 400
        : request.outcome !== "hit");
  const holdsStill = () => paused || list.body.contains(document.activeElement);

  function draw() {
    drawing = null;
    if (holdsStill()) {
      held.textContent = fresh
        ? format.count(fresh) + " new" + (paused ? "" : ", waiting while you are in the list")
        : "";
      return;
    }
    held.textContent = "";
    const shown = all.filter(matches).slice(-SHOWN).reverse();
    const known = new Map([...list.body.children].map(row => [row.dataset.sequence, row]));
    replace(
      list.body,
      shown.length
        ? shown.map(each => known.get(String(each.sequence)) ?? rowOf(each))
        : el("tr", {}, el("td", {colspan: 7, class: "soft", text: "No request yet. They show up here as they end."})),
    );
  }
  const drawSoon = () => {
    drawing ??= setTimeout(draw, DRAW_MS);
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    drawSoon();
  });
  filter.addEventListener("change", drawSoon);
  list.body.addEventListener("focusout", drawSoon);
  const saying = setInterval(() => {
    if (!fresh || paused) return;
    said.textContent = `${fresh} new requests, ${hits} from the cache`;
    fresh = hits = 0;
  }, SAY_MS);
  draw();
  return {
    node,
    stop: () => clearInterval(saying),
    add: request => {
      if (all.length && request.sequence <= all.at(-1).sequence) return; // again, after a reconnect
      all.push(request);
      if (all.length > HELD) all = all.slice(-HELD);
      ++fresh;
      hits += request.outcome === "hit";
      drawSoon();
    },
  };
}
