// What the page asks the gateway. Each call carries the token in the Authorization header, which no other site can
// make a browser send. The token lies in sessionStorage: of this tab and this origin (cookies are shared by every
// port of a host), gone when the tab closes.

const SLOT = "payonce-token";
const RETRY_MS = [1000, 2000, 5000, 10000];

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = sessionStorage.getItem(SLOT) ?? "";
let onLoggedOut = () => {};  // told whether the token was lost, rather than given up

export function whenLoggedOut(action) {
  onLoggedOut = action;
}

function keep(value) {
  token = value;
  if (value) sessionStorage.setItem(SLOT, value);
  else sessionStorage.removeItem(SLOT);
}

function end(lost) {
  keep("");
  onLoggedOut(lost);
}
export const logOut = () => end(false);

async function send(path, {method = "GET", body, as = token, signal, headers = {}} = {}) {
  const fields = {...headers};
  if (as) fields.Authorization = "Bearer " + as;
  if (body !== undefined) fields["Content-Type"] = "application/json";
  const answer = await fetch("/payonce/v1/" + path, {
    method,
    headers: fields,
    signal,
    credentials: "omit",
    cache: "no-store",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, told.error?.message ?? "status " + answer.status);
}

async function call(path, options) {
  try {
    return await (await send(path, options)).json();
  } catch (error) {
    if (error.status === 401 && token) end(true);
    throw error;
  }
}

export const get = (path, parameters = {}) => {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined),
  );
  return call(query.size ? path + "?" + query : path);
};
export const post = (path, body) => call(path, {method: "POST", body});

// True: there is a token that works, from before or because the page is on the gateway's own machine.
export async function resume() {
  if (token) {
    const who = await send("session", {method: "POST"})
      .then(answer => answer.json())
      .catch(() => ({}));
    if (who.admin) return true;
    keep("");
  }
  try {
    const opened = await (await send("session", {method: "POST"})).json();
    if (opened.token) keep(opened.token);
    return Boolean(opened.token);
  } catch (error) {
    if (error.status === 401) return false;
    throw error;
  }
}

export async function logIn(entered) {
  const who = await (await send("session", {method: "POST", as: entered})).json();
  if (!who.admin) throw new Refused(401, "That is not the admin token of this gateway.");
  keep(entered);
}

// Reads server-sent events with fetch, since EventSource sends no Authorization. Calls on.event(name, data) and
// on.state("live" | "offline"); begins again by itself, where it stopped. Returns what ends it.
export function listen(on) {
  const ended = new AbortController();
  let last = "";
  (async () => {
    for (let failures = 0; !ended.signal.aborted;) {
      try {
        const answer = await send("events", {signal: ended.signal, headers: last ? {"Last-Event-ID": last} : {}});
        on.state("live");
        failures = 0;
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        for (;;) {
          const {value, done} = await reader.read();
          if (done) break;
          text += value;
          for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2))
            last = tell(text.slice(0, end), on) || last;
        }
      } catch (error) {
        if (ended.signal.aborted) return;
        if (error.status === 401) return end(true);
      }
      on.state("offline");
      await new Promise(resolve => setTimeout(resolve, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]));
    }
  })();
  return () => ended.abort();
}

// One event; its id.
function tell(block, on) {
  let name = "message",
    id = "",
    data = "";
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon <= 0) continue;
    const field = line.slice(0, colon),
      value = line.slice(colon + 2);
    if (field === "event") name = value;
    else if (field === "id") id = value;
    else if (field === "data") data += value;
  }
  if (data) on.event(name, JSON.parse(data));
  return id;
}
