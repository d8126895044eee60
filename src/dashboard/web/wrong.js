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
      return replace(
        body,
        el("p", {class: "line", text: bound}),
        el("p", {
          class: "note",
          text:
            "No hit was asked again yet, so there is no estimate. " +
            format.count(layer.hits) +
            " hits, " +
            format.count(wrong.by_feedback) +
            " said to be wrong.",
        }),
      );
    const [verdict, kind] =
      wrong.high <= wrong.bound
        ? ["within the bound", "good"]
        : wrong.low > wrong.bound
          ? ["above the bound", "bad"]
          : ["too few asked again to tell", "warn"];
    const label = format.percent(wrong.estimate, 2) + " of requests, " + bound;
    replace(
      body,
      el(
        "p",
        {class: "line"},
        el("strong", {text: format.percent(wrong.estimate, 2)}),
        " ",
        el("span", {class: kind, text: verdict}),
      ),
      interval(wrong, label),
      el("p", {
        class: "note",
        text:
          `95 % sure of ${format.percent(wrong.low, 2)} to ${format.percent(wrong.high, 2)}; ${bound} ` +
          `(the line). From ${format.count(wrong.asked_again)} ${wrong.asked_again === 1 ? "hit" : "hits"} asked ` +
          `again; ${format.count(wrong.by_feedback)} said to be wrong.`,
      }),
    );
  }
  return {node, refresh};
}
