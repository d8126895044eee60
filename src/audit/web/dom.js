// Elements and numbers as text. Nothing of the data ever becomes markup.
const el = (tag, attributes = {}, ...children) => {
  const out = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name === "text") out.textContent = value;
    else if (name.startsWith("on")) out.addEventListener(name.slice(2), value);
    else out.setAttribute(name, value === true ? "" : value);
  }
  out.append(...children.flat().filter(child => child !== undefined && child !== null && child !== ""));
  return out;
};
const svg = (tag, attributes = {}, ...children) => {
  const out = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== false) out.setAttribute(name, value);
  out.append(...children.flat().filter(Boolean));
  return out;
};

const grouped = new Intl.NumberFormat("en-US");
const count = value => grouped.format(Math.round(value));
const usd = value => {
  const size = Math.abs(value);
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
  return (
    (value < 0 ? "−$" : "$") +
    new Intl.NumberFormat("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits}).format(size)
  );
};
const duration = ms =>
  ms < 1
    ? (1000 * ms).toFixed(0) + " µs"
    : ms < 1000
      ? ms.toFixed(ms < 10 ? 1 : 0) + " ms"
      : ms < 120_000
        ? (ms / 1000).toFixed(ms < 10_000 ? 2 : 1) + " s"
        : ms < 7_200_000
          ? (ms / 60_000).toFixed(0) + " min"
          : ms < 172_800_000
            ? (ms / 3_600_000).toFixed(1) + " h"
            : (ms / 86_400_000).toFixed(1) + " days";
const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";
const change = (before, after) => {
  if (!(before > 0)) return "";
  const share = (after - before) / before;
  return Math.abs(share) < 0.0005 ? "no change" : (share < 0 ? "−" : "+") + percent(Math.abs(share));
};
const bytes = size =>
  size < 1024
    ? size + " B"
    : size < 1048576
      ? (size / 1024).toFixed(1) + " KiB"
      : (size / 1048576).toFixed(1) + " MiB";
const day = ms => new Date(ms).toISOString().slice(0, 10);
const moment = ms => (ms > 0 ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC" : "unknown time");
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

// `columns`: [title, cell of a row, "number"|undefined].
const table = (caption, columns, rows) =>
  el(
    "div",
    {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
    el(
      "table",
      {},
      el("caption", {text: caption}),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          columns.map(([title, , kind]) => el("th", {scope: "col", class: kind, text: title})),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map(row =>
          el(
            "tr",
            {},
            columns.map(([, cell, kind], index) => {
              const content = cell(row);
              return el(
                index === 0 ? "th" : "td",
                {scope: index === 0 ? "row" : undefined, class: kind},
                content instanceof Node ? content : String(content),
              );
            }),
          ),
        ),
      ),
    ),
  );

// A long table shows its first rows, and all of them when asked (and on paper the first).
const longTable = (caption, columns, rows, first = 12) => {
  const holder = el("div", {}, table(caption, columns, rows.slice(0, first)));
  if (rows.length > first)
    holder.append(
      el("button", {
        type: "button",
        class: "more",
        text: `Show all ${count(rows.length)}`,
        onclick: () => holder.replaceChildren(table(caption, columns, rows)),
      }),
    );
  return holder;
};

const section = (id, title, ...children) => {
  const place = document.getElementById(id);
  place.append(el("h2", {text: title}), ...children.flat().filter(Boolean));
  place.setAttribute("aria-label", title);
};
const leaveOut = id => document.getElementById(id).remove();
const note = text => el("p", {class: "note", text});
const badge = confidence =>
  el("span", {
    class: confidence === "certain" ? "badge good" : "badge warn",
    text: confidence === "certain" ? "certain" : "needs validation",
  });
