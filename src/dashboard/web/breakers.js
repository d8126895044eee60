// What keeps live requests from sharing a prefix, with its price and its fix.

import {cell, el, replace, rowHead, section, table} from "./dom.js";
import * as format from "./format.js";

export function makeBreakers() {
  const list = table("Prefix breakers, dearest first", [
    {name: "Kind"},
    {name: "Where", kind: "wide"},
    {name: "Seen", kind: "number"},
    {name: "Cost", kind: "number"},
    {name: "What to do"},
  ]);
  const note = el("p", {class: "note"});
  const card = el("div", {class: "card flush"}, list.whole);
  const node = section("breakers", "Prefix breakers", note, card);

  function refresh({breakers}) {
    card.hidden = !breakers?.findings.length;
    if (!breakers) {
      note.textContent =
        "The prefix layer is off; name it in layers to see what keeps requests from sharing a prefix.";
      return;
    }
    note.textContent = breakers.findings.length
      ? `What kept requests from sharing a prefix, in ${format.count(breakers.requests)} requests.`
      : `Nothing found in ${format.count(breakers.requests)} requests.`;
    const dearest = [...breakers.findings].sort((a, b) => b.cost_usd - a.cost_usd || b.occurrences - a.occurrences);
    replace(
      list.body,
      dearest.map(each =>
        el(
          "tr",
          {},
          rowHead(each.kind.replaceAll("_", " "), el("span", {class: "narrow-line"}, el("code", {text: each.path}))),
          cell("wide", el("code", {text: each.path}), el("span", {class: "note block", text: each.detail})),
          cell("number", format.count(each.occurrences)),
          cell("number", format.money(each.cost_usd)),
          cell("prose", each.fix),
        ),
      ),
    );
  }
  return {node, refresh};
}
