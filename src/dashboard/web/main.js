// Puts the page together: a session, the views, and what keeps them fresh.

import * as api from "./api.js";
import {replace} from "./dom.js";
import {makeBreakers} from "./breakers.js";
import {makeEntries} from "./entries.js";
import {makeHour} from "./hour.js";
import {makeLayers} from "./layers.js";
import {makeLogin} from "./login.js";
import {makeMachines} from "./machines.js";
import {makeReasons} from "./reasons.js";
import {makeRequests} from "./requests.js";
import {makeToday} from "./today.js";
import {makeWrong} from "./wrong.js";
import {overview} from "./overview.js";

const FRESH_MS = 5000; // figures follow requests within this time
const IDLE_MS = 60000; // and are read again at least so often

const views = document.getElementById("views");
const problem = document.getElementById("problem");
const link = document.getElementById("link");
const logout = document.getElementById("logout");
const sections = document.getElementById("sections");
let stop = () => {};

function showState(state, text) {
  link.dataset.state = state;
  link.textContent = text;
}

// Views have refresh(figures); what cannot be had is left as it was, and said.
function startRefreshing(all) {
  let due = true,
    read = 0,
    busy = false;
  const turn = async () => {
    if (busy || document.hidden || !(due || Date.now() - read > IDLE_MS)) return;
    busy = true;
    due = false;
    read = Date.now();
    try {
      const [stats, savings, hour, upstreams] = await Promise.all([
        api.get("stats"),
        api.get("savings", {days: 1}),
        api.get("last-hour"),
        api.get("upstreams"),
      ]);
      const breakers = stats.layers.prefix ? await api.get("breakers") : null;
      for (const view of all) view.refresh?.({stats, savings, hour, upstreams, breakers});
      problem.textContent = "";
    } catch (error) {
      problem.textContent = "No figures from the gateway: " + error.message;
      due = true;
    }
    busy = false;
  };
  turn();
  const timer = setInterval(turn, FRESH_MS);
  document.addEventListener("visibilitychange", turn);
  return {
    soon: () => {
      due = true;
    },
    stop: () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", turn);
    },
  };
}

function start() {
  logout.hidden = sections.hidden = false;
  const hour = makeHour(),
    requests = makeRequests();
  const all = [
    makeToday(),
    hour,
    makeLayers(),
    makeReasons(),
    makeWrong(),
    makeMachines(),
    requests,
    makeEntries(),
    makeBreakers(),
  ];
  replace(
    views,
    overview(all.slice(0, 6)),
    all.slice(6).map(view => view.node),
  );
  const refreshing = startRefreshing(all);
  const endListening = api.listen({
    state: state => showState(state, state === "live" ? "live" : "no connection, trying again"),
    event: (name, data) => {
      refreshing.soon();
      if (name === "request") requests.add(data);
      if (name === "minute") hour.addMinute(data);
    },
  });
  stop = () => {
    stop = () => {};
    refreshing.stop();
    endListening();
    requests.stop();
  };
}

function askForToken() {
  stop();
  logout.hidden = sections.hidden = true;
  showState("waiting", "not logged in");
  const login = makeLogin(start);
  replace(views, login.node);
  login.focus();
}

// On the gateway's own machine a page that lost its token, since the process is another one, gets a new one.
async function begin() {
  stop();
  try {
    if (await api.resume()) start();
    else askForToken();
  } catch (error) {
    showState("offline", "no connection");
    problem.textContent = "The gateway does not answer: " + error.message + ". Reload the page to try again.";
  }
}

api.whenLoggedOut(lost => (lost ? begin() : askForToken()));
logout.addEventListener("click", api.logOut);
begin();
