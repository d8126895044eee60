// The sections of the page, one function each.

const layerNames = {exact: "exact cache", semantic: "semantic cache", prefix: "provider's prefix cache"};

const headline = data => {
  const figure = (title, before, after, format, about) => {
    const text = change(before, after);
    const tone = !text || text === "no change" ? "" : after < before ? " good" : " bad";
    return el(
      "div",
      {class: "figure"},
      el("h2", {text: title}),
      el("p", {class: "change" + tone, text: text || "–"}),
      el("p", {text: `${format(before)} → ${format(after)}`}),
      el("p", {class: "note", text: about}),
    );
  };
  const latency = data.latency_ms;
  const place = document.getElementById("headline");
  if (data.layers.length === 0) {
    // Nothing could be replayed: what was paid, and what of it was paid twice.
    const again = data.rebuilds.reduce((sum, rebuild) => sum + rebuild.cost_usd, 0);
    const {uncached, actual} = data.cost_usd;
    const shown = (title, value, about) =>
      el("div", {class: "figure"}, el("h2", {text: title}), el("p", {class: "change", text: value}), note(about));
    place.append(
      shown(
        "Paid",
        usd(actual),
        data.projection.monthly_usd ? `a month of this: ${usd(data.projection.monthly_usd.actual)}` : "",
      ),
      shown("Saved by the provider's cache", change(uncached, actual) || "–", `without it ${usd(uncached)}`),
      shown(
        "Prefixes paid for again",
        usd(again),
        `${percent(actual > 0 ? again / actual : 0)} of what was paid, in ` +
          plural(data.rebuilds.length, "request"),
      ),
    );
    return;
  }
  if (latency.calls > 0)
    place.append(
      figure(
        "Average latency",
        latency.actual_mean,
        latency.with_payonce_mean,
        duration,
        `p95 ${duration(latency.actual_p95)} → ${duration(latency.with_payonce_p95)}` +
          (latency.median_error !== null ? `; model's error ${percent(latency.median_error, 0)} a call` : ""),
      ),
    );
  else
    place.append(
      el(
        "div",
        {class: "figure"},
        el("h2", {text: "Average latency"}),
        el("p", {class: "change", text: "–"}),
        el("p", {class: "note", text: "This log tells no latencies."}),
      ),
    );
  const input = data.input_cost_usd,
    cost = data.cost_usd;
  place.append(
    figure("Input-token cost", input.actual, input.with_payonce, usd, `without any cache ${usd(input.uncached)}`),
    figure(
      "Total cost",
      cost.actual,
      cost.with_payonce,
      usd,
      data.projection.monthly_usd
        ? `a month of this: ${usd(data.projection.monthly_usd.actual)} → ${usd(data.projection.monthly_usd.with_payonce)}`
        : `without any cache ${usd(cost.uncached)}`,
    ),
  );
};

const waterfall = data => {
  if (data.layers.length === 0)
    return section(
      "waterfall",
      "What each layer saves",
      el("p", {
        text:
          "This log holds no request bodies, so no request " +
          "can be replayed. What was paid, which prefixes were paid for again, and which lifetime fits the pauses is below. " +
          "For the rest, record bodies for a day: payonce serve --record FILE.",
      }),
    );
  const views = {
    "Total cost": [data.cost_usd.actual, data.cost_usd.with_payonce, layer => layer.cost_saved_usd, usd],
    "Input-token cost": [
      data.input_cost_usd.actual,
      data.input_cost_usd.with_payonce,
      layer => layer.input_cost_saved_usd,
      usd,
    ],
  };
  if (data.latency_ms.calls > 0)
    views["Latency, sum"] = [
      data.latency_ms.actual_mean * data.latency_ms.calls,
      data.latency_ms.with_payonce_mean * data.latency_ms.calls,
      layer => layer.latency_saved_ms,
      duration,
    ];
  const chart = el("div");
  const draw = name => {
    const [before, after, saved, format] = views[name];
    chart.replaceChildren(
      waterfallChart(
        [
          {name: "paid", value: before, kind: "total", layer: "upstream"},
          ...data.layers.map(layer => ({
            name: layer.name + " layer",
            value: saved(layer),
            kind: "saved",
            layer: layer.name,
          })),
          {name: "with Payonce", value: after, kind: "total", layer: "after"},
        ],
        format,
      ),
    );
    for (const button of choices.children) button.setAttribute("aria-pressed", button.textContent === name);
  };
  const choices = el(
    "div",
    {class: "choices", role: "group", "aria-label": "What the bars show"},
    Object.keys(views).map(name => el("button", {type: "button", text: name, onclick: () => draw(name)})),
  );
  section(
    "waterfall",
    "What each layer saves",
    note(
      "In the order in which a request meets them; each on what the one before left, so nothing is counted twice.",
    ),
    choices,
    chart,
    table(
      "Layers",
      [
        ["Layer", layer => layerNames[layer.name] ?? layer.name],
        ["Hits", layer => `${count(layer.hits)} of ${count(layer.requests)}`, "number"],
        ["Input tokens", layer => count(layer.input_tokens_saved), "number"],
        ["Cost", layer => usd(layer.cost_saved_usd), "number"],
        ["Time", layer => duration(Math.max(0, layer.latency_saved_ms)), "number"],
        ["Confidence", layer => badge(layer.confidence)],
        ["Why", layer => layer.why, "words"],
      ],
      data.layers,
    ),
    Object.keys(data.acts).length > 0
      ? note(
          "What the prefix layer would have done, in how many requests: " +
            Object.entries(data.acts)
              .map(([act, requests]) => `${act.replaceAll("_", " ")} ${count(requests)}`)
              .join(", ") +
            ".",
        )
      : null,
  );
  draw("Total cost");
};

const diffOf = finding => {
  if (!finding.before && !finding.after) return null;
  const [a, b] = [finding.before, finding.after];
  let head = 0,
    tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) ++head;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail])
    ++tail;
  const line = (tag, text) =>
    el(
      tag,
      {},
      text.slice(0, head),
      el("mark", {text: text.slice(head, text.length - tail)}),
      text.slice(text.length - tail),
    );
  return el("div", {class: "diff"}, line("del", a), line("ins", b));
};

const sessions = data => {
  if (data.sessions.length === 0) return leaveOut("sessions");
  const detail = el("div", {class: "detail", role: "status"});
  const prompt = part => `${count(part.read)} read, ${count(part.written)} written, ${count(part.fresh)} fresh`;
  const show = (step, rebuild) => {
    const lines = [
      `Request ${count(step.request)}, ${moment(step.at_ms)}: the one before had left ${count(step.had)} ` +
        `tokens; ${prompt(step.actual)}.`,
    ];
    if (step.took === "exact" || step.took === "collapsed" || step.took === "semantic")
      lines.push(`With Payonce: answered by the ${step.took === "semantic" ? "semantic" : "exact"} cache.`);
    else if (prompt(step.with_payonce) !== prompt(step.actual))
      lines.push(`With Payonce: ${prompt(step.with_payonce)}.`);
    if (rebuild)
      lines.push(
        `Prefix rebuilt (${rebuild.cause}), ${duration(rebuild.gap_ms)} after the one before, for ` +
          `${usd(rebuild.cost_usd)} more than reading it.`,
      );
    const found = rebuild ? rebuild.findings.map(index => data.findings[index]) : [];
    detail.replaceChildren(
      ...lines.map(text => el("p", {text})),
      ...found.flatMap(finding =>
        [
          el(
            "p",
            {},
            `${finding.kind} at `,
            el("code", {text: finding.path || "the body"}),
            `, byte ${count(finding.byte_offset)}`,
          ),
          diffOf(finding),
        ].filter(Boolean),
      ),
    );
  };
  const chart = el("div");
  const draw = session => {
    const changed = session.steps.some(step => prompt(step.with_payonce) !== prompt(step.actual));
    chart.replaceChildren(
      el("h3", {text: "As it was"}),
      timelineChart(session.steps, "actual", data.rebuilds, show),
      ...(changed
        ? [el("h3", {text: "With Payonce"}), timelineChart(session.steps, "with_payonce", data.rebuilds, show)]
        : []),
      note(
        `${plural(session.requests, "request")}, ${percent(session.hit_rate)} of the input read from the provider's ` +
          `cache, ${usd(session.cost_usd.actual)} paid` +
          (session.cost_usd.with_payonce < session.cost_usd.actual
            ? `, ${usd(session.cost_usd.with_payonce)} with Payonce.`
            : "."),
      ),
    );
    detail.replaceChildren(note("Point at a call, or move with the arrow keys."));
  };
  const choose = el(
    "select",
    {"aria-label": "Session", onchange: event => draw(data.sessions[event.target.value])},
    data.sessions.map((session, index) => {
      const broken = session.steps.filter(step => step.rebuild >= 0).length;
      return el("option", {
        value: index,
        text:
          `${session.session}: ${plural(session.requests, "request")}, ` +
          `${usd(session.cost_usd.actual)}` +
          (broken ? `, ${plural(broken, "rebuild")}` : ""),
      });
    }),
  );
  section(
    "sessions",
    "Where each session's prefix broke",
    note(`The dearest ${count(data.sessions.length)} of ${plural(data.sessions_in_all, "session")}.`),
    el("div", {class: "choices"}, choose),
    el(
      "ul",
      {class: "key"},
      [
        ["read from the cache", "--layer-exact"],
        ["written to it", "--layer-prefix"],
        ["fresh", "--layer-engine"],
        ["▾ rebuilt", "--bad"],
      ].map(([text, colour]) => el("li", {style: `--c: var(${colour})`, text})),
    ),
    chart,
    detail,
  );
  draw(data.sessions[0]);
};

const rebuilds = data => {
  if (data.rebuilds.length === 0) return leaveOut("rebuilds");
  const total = data.rebuilds.reduce((sum, rebuild) => sum + rebuild.cost_usd, 0);
  const causes = {
    model: "another model",
    compact: "the history was summarised",
    ttl: "it had expired",
    prefix: "the bytes changed",
  };
  section(
    "rebuilds",
    "Prefixes that were paid for again",
    note(
      `${plural(data.rebuilds.length, "request")} read less than half of what the one before had left in the cache, ` +
        `together ${usd(total)} more than reading it.`,
    ),
    longTable(
      "Rebuilds",
      [
        ["When", rebuild => moment(rebuild.at_ms)],
        ["Session", rebuild => rebuild.session],
        ["Cause", rebuild => causes[rebuild.cause] ?? rebuild.cause],
        ["Gap", rebuild => duration(rebuild.gap_ms), "number"],
        ["Had", rebuild => count(rebuild.had), "number"],
        ["Read", rebuild => count(rebuild.read), "number"],
        ["Wrote", rebuild => count(rebuild.wrote), "number"],
        ["Price", rebuild => usd(rebuild.cost_usd), "number"],
      ],
      data.rebuilds,
    ),
  );
};

const breakers = data => {
  if (data.findings.length === 0) return leaveOut("breakers");
  const holder = el("div");
  const draw = rows =>
    holder.replaceChildren(
      ...rows.map(finding =>
        el(
          "details",
          {},
          el(
            "summary",
            {},
            el("strong", {text: finding.kind}),
            el("code", {text: finding.path || "the body"}),
            el("span", {
              class: finding.safe && finding.fix_class !== "move" ? "badge good" : "badge warn",
              text:
                {move: "move, opt-in", advise: "advice", route: "routing"}[finding.fix_class] ??
                "mended in safe mode",
            }),
            el("span", {class: "cost", text: `${count(finding.occurrences)} ×  ${usd(finding.cost_usd)}`}),
          ),
          el("p", {text: finding.what + ". " + finding.why}),
          finding.detail ? el("p", {text: "Seen: " + finding.detail}) : null,
          diffOf(finding),
          el("p", {}, el("strong", {text: "Fix: "}), finding.fix),
          el("p", {
            class: "note",
            text:
              `First in request ${count(finding.request)}, byte ${count(finding.byte_offset)} of its body ` +
              `(${finding.file}:${finding.line}); ${count(finding.tokens)} tokens paid again.`,
          }),
        ),
      ),
      ...(rows.length < data.findings.length
        ? [
            el("button", {
              type: "button",
              class: "more",
              text: `Show all ${count(data.findings.length)}`,
              onclick: () => draw(data.findings),
            }),
          ]
        : []),
    );
  draw(data.findings.slice(0, 12));
  section(
    "breakers",
    "What keeps requests from sharing a prefix",
    note("Every independent cause, the dearest first, with the place where it begins and what it alone costs."),
    holder,
  );
};
