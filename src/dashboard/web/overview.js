// The first screen: today's figures, the last hour, the layers, and how healthy all of it is.

import {el, section} from "./dom.js";

export function overview([today, hour, layers, reasons, wrong, machines]) {
  return section("today", "Today", today.node,
    el("div", {class: "grid"},
      el("div", {class: "card span-2"}, hour.node), el("div", {class: "card"}, layers.node),
      el("div", {class: "card"}, reasons.node), el("div", {class: "card"}, wrong.node),
      el("div", {class: "card"}, machines.node)));
}
