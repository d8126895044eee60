// The form that asks for the admin token.

import {logIn} from "./api.js";
import {el, section} from "./dom.js";

export function makeLogin(done) {
  const input = el("input", {
    type: "password",
    id: "token",
    name: "token",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    "aria-describedby": "token-note token-problem",
  });
  const said = el("p", {id: "token-problem", class: "bad", role: "alert"});
  const button = el("button", {type: "submit", text: "Log in"});
  // For password managers, which want a name beside a password.
  const user = el("input", {type: "text", name: "username", autocomplete: "username", value: "admin", hidden: true});
  const submit = async event => {
    event.preventDefault();
    button.disabled = true;
    said.textContent = "";
    try {
      await logIn(input.value.trim());
      done();
    } catch (error) {
      said.textContent = error.message;
      input.select();
    }
    button.disabled = false;
  };
  const node = section(
    "login",
    "Log in",
    el(
      "form",
      {onsubmit: submit, class: "login"},
      el("p", {
        id: "token-note",
        class: "soft",
        text:
          "The admin token is what admin.token_file or PAYONCE_ADMIN_TOKEN " +
          "of this gateway says. It stays in this tab until you close it or log out.",
      }),
      user,
      el("label", {for: "token", text: "Admin token"}),
      input,
      button,
      said,
    ),
  );
  return {node, focus: () => input.focus()};
}
