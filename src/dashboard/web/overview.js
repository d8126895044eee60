// The first screen: today's figures, the last hour, the layers, and how healthy all of it is.

import {el, section} from "./dom.js";

const date = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "long", timeZone: "UTC"});

export function overview([today, hour, layers, reasons, wrong, machines]) {
  return section(
    "today",
    "Today, " + date.format(Date.now()) + " (UTC)",
    today.node,
    el(
      "div",
      {class: "grid"},
      el("div", {class: "card span-2"}, hour.node),
      el("div", {class: "card"}, layers.node),
      el("div", {class: "card"}, reasons.node),
      el("div", {class: "card"}, wrong.node),
      el("div", {class: "card"}, machines.node),
    ),
  );
}
