// The page's few charts, as SVG. Sizes are in the units of the view box; colours come from classes.

import {svg} from "./dom.js";
import * as format from "./format.js";

const WIDTH = 720,
  HEIGHT = 150,
  BASE = 128,
  TOP = 14,
  LEFT = 34;

// The least 1, 2 or 5 times a power of ten that is not below `value`.
export function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(step => step * power).find(top => top >= value);
}

export function stackedMinutes(minutes, label) {
  const top = niceTop(Math.max(4, ...minutes.map(each => each.requests)));
  const step = (WIDTH - LEFT) / minutes.length,
    high = count => ((BASE - TOP) * count) / top;
  const picture = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": label,
    class: "minutes",
    preserveAspectRatio: "none",
  });
  for (const share of [0, 0.5, 1]) {
    const y = BASE - high(top * share);
    picture.append(svg("line", {x1: LEFT, x2: WIDTH, y1: y, y2: y, class: share ? "gridline" : "baseline"}));
  }
  minutes.forEach((each, index) => {
    const x = LEFT + index * step + 1,
      width = Math.max(step - 2, 1);
    const hits = high(each.hits),
      rest = high(each.requests - each.hits);
    const column = svg(
      "g",
      {},
      svg("title", {
        text:
          `${format.minute(each.at_ms)}: ${each.hits} from the cache, ` +
          `${each.requests - each.hits} from upstreams`,
      }),
    );
    column.append(svg("rect", {x: LEFT + index * step, y: TOP, width: step, height: BASE - TOP, class: "hit-area"}));
    if (hits) column.append(svg("rect", {x, y: BASE - hits, width, height: hits, class: "bar layer-exact"}));
    if (rest)
      column.append(svg("rect", {x, y: BASE - hits - rest, width, height: rest, class: "bar layer-upstream"}));
    picture.append(column);
  });
  return withLabels(picture, minutes, top);
}

// The text stands outside of the picture, which is stretched to its place.
function withLabels(picture, minutes, top) {
  const frame = document.createElement("div");
  frame.className = "frame";
  const label = (name, text) => {
    const node = document.createElement("span");
    node.className = "axis " + name;
    node.setAttribute("aria-hidden", "true");
    node.textContent = text;
    return node;
  };
  frame.append(
    picture,
    label("axis-top", format.compact(top)),
    label("axis-middle", format.compact(top / 2)),
    label("axis-start", format.minute(minutes[0].at_ms)),
    label("axis-end", "now"),
  );
  return frame;
}

// An estimate with its interval beside a bound, all shares of one.
export function interval({estimate, low, high, bound}, label) {
  const top = Math.max(1.25 * bound, 1.05 * high, 1e-9),
    x = share => 4 + 292 * Math.min(share / top, 1);
  return svg(
    "svg",
    {viewBox: "0 0 300 40", role: "img", "aria-label": label, class: "interval"},
    svg("rect", {x: 4, y: 16, width: 292, height: 8, rx: 2, class: "track"}),
    svg("rect", {x: x(low), y: 16, width: Math.max(x(high) - x(low), 2), height: 8, class: "range"}),
    svg("circle", {cx: x(estimate), cy: 20, r: 5, class: "estimate"}),
    svg("line", {x1: x(bound), x2: x(bound), y1: 8, y2: 32, class: "bound"}),
  );
}

// Parts of a whole in one bar: [{share, kind}].
export function parts(shares, label) {
  const picture = svg("svg", {
    viewBox: "0 0 300 12",
    role: "img",
    "aria-label": label,
    class: "parts",
    preserveAspectRatio: "none",
  });
  picture.append(svg("rect", {x: 0, y: 0, width: 300, height: 12, class: "track"}));
  let x = 0;
  for (const {share, kind} of shares) {
    picture.append(svg("rect", {x, y: 0, width: 300 * share, height: 12, class: kind}));
    x += 300 * share;
  }
  return picture;
}
