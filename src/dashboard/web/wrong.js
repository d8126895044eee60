// The semantic layer's wrong answers: the estimate with its interval, beside the bound that the operator set.

import {el, replace} from "./dom.js";
import {interval} from "./chart.js";
import * as format from "./format.js";

export function makeWrong() {
  const body = el("div");
  const node = el("div", {}, el("h3", {text: "Wrong answers by meaning"}), body);

  function refresh({stats}) {
    const layer = stats.layers.semantic;
    if (!layer) return replace(body, el("p", {class: "soft", text: "The semantic layer is off."}));
    const wrong = layer.wrong_answers;
    const bound = "at most " + format.percent(wrong.bound, 2) + " allowed";
    if (!wrong.asked_again)
      return replace(body, el("p", {class: "line", text: bound}), el("p", {class: "note",
        text: "No hit was asked again yet, so there is no estimate. " + format.count(layer.hits) + " hits, "
          + format.count(wrong.by_feedback) + " said to be wrong."}));
    const held = wrong.estimate <= wrong.bound;
    const label = format.percent(wrong.estimate, 2) + " of requests, " + bound;
    replace(body,
      el("p", {class: "line"}, el("strong", {text: format.percent(wrong.estimate, 2)}), " ",
        el("span", {class: held ? "good" : "bad", text: held ? "within the bound" : "above the bound"})),
      interval(wrong, label),
      el("p", {class: "note", text: `95 % sure of ${format.percent(wrong.low, 2)} to ${format.percent(wrong.high, 2)}; ${bound} `
        + `(the line). From ${format.count(wrong.asked_again)} hits asked again; ${format.count(wrong.by_feedback)} said to be wrong.`}));
  }
  return {node, refresh};
}
