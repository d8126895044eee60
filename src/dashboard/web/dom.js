// Elements of the page. Text always goes in as text: nothing here, or in the views, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

// el("button", {type: "button", onclick: f, text: "Go"}, …children)
export const el = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);
export const svg = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

// A part of the page with its heading; `id` is what the navigation names.
export function section(id, title, ...children) {
  const heading = el("h2", {id: id + "-title", text: title});
  return el("section", {id, "aria-labelledby": id + "-title", tabindex: "-1"}, heading, ...children);
}

// columns: [{name, kind}]; kind "number" aligns right, "wide" is left out on phones, "hidden" names a column of
// buttons.
export function table(caption, columns) {
  const body = el("tbody");
  const head = columns.map(({name, kind = ""}) =>
    el("th", {scope: "col", class: kind}, kind.includes("hidden") ? el("span", {class: "unseen", text: name}) : name),
  );
  const whole = el(
    "table",
    {},
    el("caption", {class: "unseen", text: caption}),
    el("thead", {}, el("tr", {}, head)),
    body,
  );
  return {whole, body};
}

export const cell = (kind, ...children) => el("td", {class: kind || undefined}, ...children);
export const rowHead = (...children) => el("th", {scope: "row"}, ...children);

export function replace(node, ...children) {
  node.replaceChildren(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
}
