// Why one request hit or missed, part by part, with what can be done about it.

import {get, post} from "./api.js";
import {cell, el, replace, rowHead, table} from "./dom.js";
import {confirm, facts, show} from "./dialog.js";
import {purgeOne} from "./entry.js";
import * as format from "./format.js";
import {EXACT, SEMANTIC} from "./reasons.js";
import {way} from "./way.js";

const tokenText = of =>
  [
    [of.fresh, "fresh"],
    [of.read, "read from the provider's cache"],
    [of.write_short + of.write_long, "written to it"],
    [of.output, "output"],
  ]
    .filter(([number]) => number > 0)
    .map(([number, name]) => format.count(number) + " " + name)
    .join(", ") || "none";

function differences(nearest) {
  if (!nearest) return null;
  const intro = el("p", {
    class: "note",
    text:
      "Beside " +
      nearest.id +
      " of " +
      format.clock(nearest.at_ms) +
      ", the request before with most in " +
      "common (about " +
      format.count(nearest.common_tokens_estimate) +
      " tokens from the front):",
  });
  if (!nearest.differences.length)
    return [
      el("h3", {text: "What differs"}),
      intro,
      el("p", {text: "Nothing. Its answer was not stored, or is gone."}),
    ];
  const rows = table("What differs", [{name: "Where"}, {name: "Before"}, {name: "Now"}]);
  replace(
    rows.body,
    nearest.differences.map(each =>
      el(
        "tr",
        {},
        rowHead(el("code", {text: each.path}), el("span", {class: "note block", text: each.what})),
        cell("text", each.before ?? "–"),
        cell("text", each.now ?? "–"),
      ),
    ),
  );
  return [
    el("h3", {text: "What differs"}),
    intro,
    el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "What differs"}, rows.whole),
  ];
}

function prefixText(prefix) {
  if (!prefix) return undefined;
  const acts = Object.entries(prefix.acts)
    .map(([act, times]) => act.replaceAll("_", " ") + " " + times)
    .join(", ");
  return (
    (prefix.changed ? "changed: " + acts : "sent as it came") +
    `; ${format.count(prefix.expected_read_estimate)} of about ` +
    `${format.count(prefix.tokens_estimate)} tokens should be read from the provider's cache`
  );
}

// "This answer was wrong": the question answers nobody else from now on.
function wrongButton(hit, told) {
  const button = el("button", {type: "button", class: "danger", text: "This answer was wrong"});
  button.addEventListener("click", async () => {
    const done = await confirm(
      "This answer was wrong?",
      "It is not given to such questions again, and counts in the estimate of " + "wrong answers.",
      "It was wrong",
      () => post("feedback", {hit, wrong: true}),
    );
    if (!done) return;
    button.disabled = true;
    told.textContent = "Noted. It is not given again.";
  });
  return button;
}

function actions(of) {
  const told = el("p", {class: "good", role: "status"});
  const buttons = [];
  if (of.hit) buttons.push(wrongButton(of.hit, told));
  if (of.layer === "exact")
    buttons.push(
      el("button", {
        type: "button",
        class: "quiet",
        text: "Purge this answer",
        onclick: async event => {
          if (!(await purgeOne(of.key))) return;
          event.target.disabled = true;
          told.textContent = "Purged.";
        },
      }),
    );
  return buttons.length ? el("div", {class: "tools"}, buttons, told) : null;
}

export async function explain(request) {
  const dialog = show("Request " + request.id, el("p", {class: "soft", text: "Reading…"}));
  try {
    const of = await get("explain", {id: request.id});
    const reasons = of.reasons ?? {};
    replace(
      dialog.body,
      facts([
        ["Way", el("span", {}, el("span", {class: "mark layer-" + way(request).layer}), way(request).text)],
        [
          "Took",
          format.took(request.total_ms) +
            ", of that " +
            format.took(request.own_ms) +
            " in Payonce" +
            (request.upstream_ms ? ", " + format.took(request.upstream_ms) + " to the upstream's first byte" : ""),
        ],
        ["Model", of.model],
        ["Dialect", of.dialect],
        ["Exact layer", EXACT[reasons.exact] ?? reasons.exact],
        ["Semantic layer", SEMANTIC[reasons.semantic] ?? reasons.semantic],
        ["Detail", reasons.detail],
        ["In flight", reasons.collapsed],
        ["Age of the answer", of.age_s === undefined ? "" : format.span(of.age_s)],
        ["Similarity", of.similarity?.toFixed(3)],
        ["Saved", of.saved ? format.money(of.saved.usd) + " (" + tokenText(of.saved.tokens) + ")" : ""],
        ["Cost", of.billed ? format.money(of.cost_usd) + " (" + tokenText(of.billed) + ")" : ""],
        ["Prefix layer", prefixText(of.prefix)],
        ["The provider says", of.provider_says],
        ["Scope", el("code", {text: of.scope})],
        ["Version tags", of.versions],
        ["Key", el("code", {text: of.key})],
      ]),
      actions(of),
      differences(of.nearest),
      el(
        "details",
        {},
        el("summary", {text: "As JSON"}),
        el("pre", {tabindex: "0", text: JSON.stringify(of, null, 2)}),
      ),
    );
  } catch (error) {
    replace(dialog.body, el("p", {class: "bad", role: "alert", text: error.message}));
  }
}
