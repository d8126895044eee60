// Dialogs: the browser's own, which keeps the keyboard inside, closes on Escape and gives the focus back.

import {el} from "./dom.js";

let number = 0;

// Shows `children` under `title`; returns {node, body, close}.
export function show(title, ...children) {
  const id = "dialog-" + ++number;
  const body = el("div", {class: "dialog-body"}, ...children);
  const close = el("button", {type: "button", class: "quiet", text: "Close"});
  const node = el(
    "dialog",
    {"aria-labelledby": id},
    el("div", {class: "dialog-head"}, el("h2", {id, text: title}), close),
    body,
  );
  close.addEventListener("click", () => node.close());
  node.addEventListener("close", () => node.remove());
  node.addEventListener("click", event => {
    if (event.target === node) node.close();
  }); // beside it
  document.body.append(node);
  node.showModal();
  return {node, body, close: () => node.close()};
}

// Asks before something that cannot be undone. `act` runs on yes, and what it throws is shown; true when it is done.
export function confirm(title, text, verb, act) {
  return new Promise(resolve => {
    const said = el("p", {class: "bad", role: "alert"});
    const yes = el("button", {type: "button", class: "danger", text: verb});
    const no = el("button", {type: "button", class: "quiet", text: "Cancel"});
    const dialog = show(title, el("p", {text}), said, el("div", {class: "tools end"}, no, yes));
    let done = false;
    no.addEventListener("click", dialog.close);
    yes.addEventListener("click", async () => {
      yes.disabled = true;
      try {
        await act();
        done = true;
        dialog.close();
      } catch (error) {
        said.textContent = error.message;
        yes.disabled = false;
      }
    });
    dialog.node.addEventListener("close", () => resolve(done));
    no.focus();
  });
}

// Names and values side by side; without a value there is no line.
export function facts(pairs) {
  return el(
    "dl",
    {class: "facts"},
    pairs
      .filter(([, value]) => value !== undefined && value !== null && value !== "")
      .map(([name, value]) => el("div", {}, el("dt", {text: name}), el("dd", {}, value))),
  );
}
