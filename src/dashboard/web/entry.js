// One stored answer: looked into, and purged.

import {get, post} from "./api.js";
import {el, replace} from "./dom.js";
import {confirm, facts, show} from "./dialog.js";
import * as format from "./format.js";

const SHOWN_CHARS = 20000;

// True when it is gone.
export const purgeOne = key =>
  confirm(
    "Purge this answer?",
    key + " is removed from memory and disk. The next such request goes upstream.",
    "Purge",
    () => post("cache/purge", {key}),
  );

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body; // a stream
  }
}

export async function showEntry(info, gone) {
  const dialog = show("Stored answer", el("p", {class: "soft", text: "Reading…"}));
  try {
    const entry = await get("cache/entry", {key: info.key});
    const text = pretty(entry.body);
    const purge = el("button", {
      type: "button",
      class: "danger",
      text: "Purge this answer",
      onclick: async () => {
        if (!(await purgeOne(info.key))) return;
        dialog.close();
        gone();
      },
    });
    replace(
      dialog.body,
      facts([
        ["Key", el("code", {text: entry.key})],
        ["Model", entry.model],
        ["Scope", el("code", {text: entry.scope})],
        ["Version tags", entry.versions],
        ["Recorded as", entry.dialect + ", " + entry.form],
        ["Tokens", format.count(entry.usage.input) + " in, " + format.count(entry.usage.output) + " out"],
        ["Cost when bought", format.money(entry.cost_usd)],
        ["Hits", format.count(info.hits)],
        ["Age", format.span(entry.age_s)],
        ["Expires in", format.span(entry.ttl_s)],
      ]),
      el("div", {class: "tools"}, purge),
      el("h3", {text: "Recorded answer"}),
      el("pre", {tabindex: "0", text: text.slice(0, SHOWN_CHARS)}),
      text.length > SHOWN_CHARS
        ? el("p", {
            class: "note",
            text:
              "The first " +
              format.count(SHOWN_CHARS) +
              " of " +
              format.count(text.length) +
              " characters; `payonce cache get` prints all.",
          })
        : null,
    );
  } catch (error) {
    replace(dialog.body, el("p", {class: "bad", role: "alert", text: error.message}));
  }
}
