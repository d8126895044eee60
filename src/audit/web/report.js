// The other sections, and all of them in order.

const repeats = data => {
  const {equal, paraphrases} = data.repeats;
  if (equal.length + paraphrases.length + data.tools.repeated === 0) return leaveOut("repeats");
  const hidden = note("Texts are left out; payonce audit --show-text puts them in.");
  const shown = equal.some(row => row.example) || paraphrases.some(row => row.question);
  section(
    "repeats",
    "Asked more than once",
    shown ? null : hidden,
    equal.length
      ? longTable(
          "Equal requests: one answer serves them all",
          [
            ["First asked in request", row => count(row.requests[0])],
            ["Times", row => count(row.requests.length), "number"],
            ["Paid again", row => usd(row.cost_usd), "number"],
            ...(shown ? [["Question", row => row.example, "words"]] : []),
          ],
          equal,
          8,
        )
      : null,
    paraphrases.length
      ? el("p", {
          text:
            `Paraphrases answered by the semantic layer, the least alike first. In ` +
            `${count(paraphrases.filter(row => row.same_answer).length)} of these ${count(paraphrases.length)} the log's own answer ` +
            `is word for word the same; in the others it is worded differently, or it differs: look at them.`,
        })
      : null,
    paraphrases.length
      ? longTable(
          "Paraphrases",
          [
            ["Request", row => count(row.request)],
            ["Answered from", row => count(row.source), "number"],
            ["Cosine", row => row.similarity.toFixed(3), "number"],
            ["Log's own answer", row => (row.same_answer ? "the same words" : "other words")],
            ...(shown
              ? [
                  ["Question", row => row.question, "words"],
                  ["Stored question", row => row.matched, "words"],
                ]
              : []),
          ],
          paraphrases,
          8,
        )
      : null,
    data.tools.calls
      ? note(
          `Tool calls: ${count(data.tools.calls)}, of which ${count(data.tools.repeated)} had been made with ` +
            `the same arguments in the same session` +
            (data.tools.by_tool.length
              ? ` (${data.tools.by_tool
                  .slice(0, 5)
                  .map(row => `${row.tool} ${count(row.repeated)}`)
                  .join(", ")})`
              : "") +
            ".",
        )
      : null,
  );
};

const gaps = data => {
  const buckets = data.gaps.buckets;
  if (!buckets.some(bucket => bucket.count > 0)) return leaveOut("gaps");
  let from = 0;
  const named = buckets.map(bucket => {
    const name = bucket.to_ms < 0 ? `over ${duration(from)}` : `up to ${duration(bucket.to_ms)}`;
    from = bucket.to_ms;
    return {name, count: bucket.count};
  });
  section(
    "gaps",
    "How long sessions pause",
    histogram(named, "Gaps between a session's calls"),
    data.gaps.choices.some(choice => choice.input_cost_usd > 0)
      ? table(
          "Cost of cached input under each lifetime, with these pauses",
          [
            ["Lifetime", choice => choice.name],
            ["Cost", choice => usd(choice.input_cost_usd), "number"],
            ["", choice => (choice === data.gaps.choices[0] ? "the cheapest" : "")],
          ],
          data.gaps.choices,
        )
      : null,
  );
};

const fixes = data => {
  if (data.fixes.length + data.sensitivity.length === 0) return leaveOut("fixes");
  section(
    "fixes",
    "What each step is worth",
    data.fixes.length
      ? table(
          "Saved, were it the only one; and on what those above it left",
          [
            ["Step", fix => fix.name],
            ["Alone", fix => usd(fix.alone_usd), "number"],
            ["In this order", fix => usd(fix.in_order_usd), "number"],
            ["Confidence", fix => badge(fix.confidence)],
          ],
          data.fixes,
        )
      : null,
    data.sensitivity.length
      ? table(
          "The same log under other settings",
          [
            ["Setting", trial => trial.setting],
            ["Value", trial => trial.value + (trial.chosen ? " (this report)" : "")],
            ["Answered", trial => count(trial.hits), "number"],
            ["Cost", trial => usd(trial.cost_usd), "number"],
            ...(data.latency_ms.calls > 0
              ? [["Mean latency", trial => duration(trial.latency_mean_ms), "number"]]
              : []),
          ],
          data.sensitivity,
        )
      : null,
  );
};

const models = data =>
  section(
    "models",
    "Models",
    longTable(
      "What each model used",
      [
        ["Model", model => model.model || "(unknown)"],
        ["Cache rules", model => model.provider || "–"],
        ["Requests", model => count(model.requests), "number"],
        ["Fresh", model => count(model.tokens.fresh), "number"],
        ["Read", model => count(model.tokens.read), "number"],
        ["Written", model => count(model.tokens.write_short + model.tokens.write_long), "number"],
        ["Output", model => (data.output_is_floor ? "≥ " : "") + count(model.tokens.output), "number"],
        ["Read share", model => percent(model.hit_rate), "number"],
        ["Paid", model => (model.priced ? usd(model.cost_usd.actual) : "no price known"), "number"],
      ],
      data.models,
    ),
  );

const migration = data => {
  const own = new Set(data.models.map(model => model.model));
  const wanted = el("input", {
    type: "search",
    "aria-label": "Filter models",
    placeholder: "Filter models",
    oninput: () => draw(),
  });
  const holder = el("div");
  const draw = () => {
    const text = wanted.value.toLowerCase();
    const rows = data.migration.filter(row => !text || row.model.toLowerCase().includes(text));
    holder.replaceChildren(
      longTable(
        `${plural(rows.length, "model")}, the cheapest first`,
        [
          ["Model", row => row.model + (own.has(row.model) ? " (in this log)" : "")],
          ["Cost", row => usd(row.cost_usd), "number"],
          ["With Payonce", row => usd(row.with_payonce_usd), "number"],
        ],
        rows,
        15,
      ),
    );
  };
  if (data.migration.length === 0) return leaveOut("migration");
  section(
    "migration",
    "The same tokens elsewhere",
    note(
      "At the list prices of the log's last day, with the share of cached input that was seen in this log; whether " +
        "another model answers as well, and reads as much from its cache, is not said here.",
    ),
    el("div", {class: "choices"}, wanted),
    holder,
  );
  draw();
};

const method = data => {
  const sim = data.simulator,
    settings = data.settings;
  const lines = [
    `Settings: ${
      [
        settings.exact && "exact",
        settings.semantic && `semantic (error bound ${percent(settings.error_bound, 2)})`,
        settings.prefix !== "off" && `prefix (${settings.prefix})`,
      ]
        .filter(Boolean)
        .join(", ") || "no layer"
    }; answers live ` + `${duration(1000 * settings.ttl_s)}, ${bytes(settings.memory_bytes)} of them.`,
    "Each call came when the log says and its answer was there when the log says; the layers are those of payonce serve.",
    "With-figures are what was billed plus the difference of two simulations of the provider's cache: of the client's bytes, " +
      "and of what would have been sent.",
    sim.calls
      ? `Simulated against billed, ${plural(sim.calls, "call")}: read ${count(sim.read)} against ` +
        `${count(sim.billed_read)}, written ${count(sim.written)} against ${count(sim.billed_written)} tokens.`
      : null,
    ...data.latency_ms.models.map(
      model =>
        `Latency of ${model.name || "all"}, from ${plural(model.calls, "call")}: ` +
        `${duration(model.fixed_ms)} + ${duration(1000 * model.ms_per_computed_token)} per 1,000 computed, ` +
        `${duration(1000 * model.ms_per_read_token)} per 1,000 read and ${duration(model.ms_per_output_token)} per output ` +
        `token; median error ${percent(model.median_error, 0)} on calls that it had not seen, ${percent(model.bias)} on ` +
        `their sum.`,
    ),
    data.billed_usd !== null
      ? `The log itself names ${usd(data.billed_usd)}; by list prices it is ` + `${usd(data.cost_usd.actual)}.`
      : null,
    data.skipped ? `${plural(data.skipped, "line")} could not be read.` : null,
    data.duplicates ? `${plural(data.duplicates, "record")} told a call that was already known.` : null,
    ...data.notes,
  ].filter(Boolean);
  section(
    "method",
    "How this was computed",
    el(
      "ul",
      {},
      lines.map(text => el("li", {text})),
    ),
    longTable(
      "Sources",
      [
        ["File", file => file.name],
        ["Format", file => file.format],
        ["Calls", file => count(file.calls), "number"],
        ["Size", file => bytes(file.bytes), "number"],
      ],
      data.sources.files,
      8,
    ),
    data.sources.skipped.length
      ? longTable(
          "Lines that could not be read",
          [
            ["Line", line => (line.line ? `${line.file}:${line.line}` : line.file)],
            ["Why", line => line.why],
          ],
          data.sources.skipped,
          8,
        )
      : null,
  );
};

const data = JSON.parse(document.getElementById("data").textContent);
document.getElementById("span").textContent =
  `${plural(data.requests, "request")}` +
  (data.from_ms > 0 ? `, ${day(data.from_ms)} to ${day(data.to_ms)}` : "") +
  `; ${plural(data.sources.files.length, "file")}.`;
for (const draw of [
  headline,
  waterfall,
  sessions,
  rebuilds,
  breakers,
  repeats,
  gaps,
  fixes,
  models,
  migration,
  method,
])
  draw(data);
