// The explorer of stored answers: search, page by page, look into one, purge one or all that match.

import {get, post} from "./api.js";
import {cell, el, replace, rowHead, section, table} from "./dom.js";
import {confirm} from "./dialog.js";
import {purgeOne, showEntry} from "./entry.js";
import * as format from "./format.js";

const PAGE = 25;
const FIELDS = [
  ["key", "Key", "whole, or its beginning and *"],
  ["model", "Model", "e.g. gpt-5-mini"],
  ["scope", "Scope", "e.g. u-4f0c…"],
  ["version", "Version tag", "e.g. kb=2026-11"],
  ["older_than", "Older than, hours", "e.g. 24"],
];

function field(id, [name, label, hint]) {
  const input = el("input", {
    id,
    name,
    type: name === "older_than" ? "number" : "search",
    min: "0",
    placeholder: hint,
    autocomplete: "off",
    spellcheck: "false",
  });
  return {name, label, input, node: el("div", {class: "field"}, el("label", {for: id, text: label}), input)};
}

export function makeEntries() {
  const fields = FIELDS.map(each => field("entry-" + each[0], each));
  const list = table("Stored answers, newest first", [
    {name: "Key"},
    {name: "Model", kind: "wide"},
    {name: "Scope", kind: "wide"},
    {name: "Version tags", kind: "wide"},
    {name: "Size", kind: "number wide"},
    {name: "Age", kind: "number"},
    {name: "Expires in", kind: "number wide"},
    {name: "Hits", kind: "number"},
    {name: "Kept in", kind: "wide"},
    {name: "Purge", kind: "hidden"},
  ]);
  const where = el("p", {class: "soft", role: "status"});
  const older = el("button", {type: "button", class: "quiet", text: "Older"});
  const newer = el("button", {type: "button", class: "quiet", text: "Newer"});
  const purgeAll = el("button", {type: "button", class: "danger quiet-danger", text: "Purge all that match…"});
  const form = el(
    "form",
    {class: "filters", role: "search", "aria-label": "Stored answers"},
    fields.map(each => each.node),
    el("div", {class: "tools"}, el("button", {type: "submit", text: "Search"}), purgeAll),
  );
  const node = section(
    "entries",
    "Entries",
    form,
    el("div", {class: "card flush"}, list.whole),
    el("nav", {class: "tools pages", "aria-label": "Pages of entries"}, newer, older, where),
  );
  let starts = [""],
    next = "",
    applied = {},
    total = 0,
    reads = 0;

  function wanted() {
    const filter = {};
    for (const {name, input} of fields) {
      const value = input.value.trim();
      if (value) filter[name] = name === "older_than" ? Math.round(Number(value) * 3600) : value;
    }
    return filter;
  }

  async function read() {
    const mine = ++reads;
    try {
      const page = await get("cache", {...applied, limit: PAGE, after: starts.at(-1)});
      if (mine !== reads) return; // another page was asked for meanwhile
      next = page.next ?? "";
      draw(page.entries);
    } catch (error) {
      where.textContent = error.message;
    }
  }

  function rowOf(info) {
    const look = () => showEntry(info, read);
    const purge = el("button", {
      type: "button",
      class: "quiet small",
      "aria-label": "Purge " + format.shortKey(info.key),
      text: "Purge",
      onclick: async event => {
        event.stopPropagation();
        if (await purgeOne(info.key)) read();
      },
    });
    return el(
      "tr",
      {class: "opens", onclick: look},
      rowHead(
        el(
          "button",
          {
            type: "button",
            class: "row-button",
            "aria-label": "Look into " + format.shortKey(info.key),
            title: info.key,
          },
          el("code", {text: format.shortKey(info.key)}),
        ),
        el("span", {class: "narrow-line", text: info.model}),
      ),
      cell("wide", info.model),
      cell("wide", el("code", {title: info.scope, text: format.shortScope(info.scope)})),
      cell("wide", info.versions || "–"),
      cell("number wide", format.size(info.bytes)),
      cell("number", format.span(info.age_s)),
      cell("number wide", format.span(info.ttl_s)),
      cell("number", format.count(info.hits)),
      cell("wide", [info.memory && "memory", info.disk && "disk"].filter(Boolean).join(", ")),
      cell("end", purge),
    );
  }

  function draw(entries) {
    const before = PAGE * (starts.length - 1);
    const filtered = Object.keys(applied).length > 0;
    where.textContent = entries.length
      ? `${format.count(before + 1)} to ${format.count(before + entries.length)}` +
        (filtered ? "" : " of " + format.count(Math.max(total, before + entries.length))) +
        ", newest first"
      : "";
    newer.disabled = starts.length === 1;
    older.disabled = !next;
    replace(
      list.body,
      entries.length
        ? entries.map(rowOf)
        : el(
            "tr",
            {},
            el("td", {colspan: 10, class: "soft", text: filtered ? "No entry matches." : "Nothing is stored yet."}),
          ),
    );
  }

  form.addEventListener("submit", event => {
    event.preventDefault();
    applied = wanted();
    starts = [""];
    read();
  });
  older.addEventListener("click", () => {
    starts.push(next);
    read();
  });
  newer.addEventListener("click", () => {
    starts.pop();
    read();
  });
  purgeAll.addEventListener("click", async () => {
    const filter = wanted(),
      named = Object.entries(filter);
    const what = named.length
      ? "Every entry with " +
        named
          .map(
            ([name, value]) => name.replace("_", " ") + " " + (name === "older_than" ? value / 3600 + " h" : value),
          )
          .join(" and ")
      : "Every entry of every scope";
    let removed = 0;
    const act = async () => {
      ({removed} = await post("cache/purge", named.length ? filter : {all: true}));
    };
    if (
      !(await confirm(
        "Purge all that match?",
        what + " is removed from memory and disk. This cannot be undone.",
        "Purge",
        act,
      ))
    )
      return;
    starts = [""];
    await read();
    where.textContent = format.count(removed) + " purged";
  });
  read();
  return {
    node,
    refresh: ({stats}) => {
      const changed = total !== stats.layers.exact.entries;
      total = stats.layers.exact.entries;
      // The first page follows what is stored, unless the keyboard is in it.
      if (changed && starts.length === 1 && !list.body.contains(document.activeElement)) read();
    },
  };
}
