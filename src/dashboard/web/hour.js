// The last hour: answers a minute, from the cache and from upstreams, stacked.

import {el, replace} from "./dom.js";
import * as format from "./format.js";
import {stackedMinutes} from "./chart.js";

export function makeHour() {
  const figure = el("div", {class: "chart"});
  const text = el("p", {class: "note"});
  const key = el(
    "p",
    {class: "key"},
    el("span", {class: "mark layer-exact"}),
    "from the cache",
    el("span", {class: "mark layer-upstream"}),
    "from upstreams",
  );
  const node = el("div", {}, el("h3", {text: "Answers a minute, last hour"}), key, figure, text);
  let minutes = [];

  function draw() {
    if (!minutes.length) return;
    const requests = minutes.reduce((sum, each) => sum + each.requests, 0);
    const hits = minutes.reduce((sum, each) => sum + each.hits, 0);
    const saved = minutes.reduce((sum, each) => sum + each.saved_usd, 0);
    const failed = minutes.reduce((sum, each) => sum + each.failed, 0);
    const label =
      format.count(requests) +
      " requests, " +
      format.count(hits) +
      " from the cache, " +
      format.money(saved) +
      " saved" +
      (failed ? ", " + format.count(failed) + " failed" : "");
    text.textContent = label;
    replace(figure, stackedMinutes(minutes, label));
  }
  return {
    node,
    refresh: ({hour}) => {
      minutes = hour.minutes;
      draw();
    },
    addMinute: minute => {
      const last = minutes.at(-1);
      if (!last || minute.at_ms < last.at_ms) return;
      if (minute.at_ms > last.at_ms) return; // the next refresh brings the whole hour
      minutes[minutes.length - 1] = minute;
      draw();
    },
  };
}
