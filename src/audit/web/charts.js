// Charts as SVG, each with its numbers in a table or a label beside it.

// Bars from what was paid to what would be: [{name, value, kind: "total"|"saved", layer}].
const waterfallChart = (steps, format) => {
  const width = 720,
    row = 34,
    left = 160,
    right = 120,
    height = steps.length * row + 4;
  const most = Math.max(...steps.filter(step => step.kind === "total").map(step => step.value), 1e-12);
  const x = value => left + (width - left - right) * Math.max(0, Math.min(1, value / most));
  let level = 0;
  const marks = [];
  steps.forEach((step, index) => {
    const y = index * row + 4,
      from = step.kind === "total" ? 0 : level - step.value;
    const to = step.kind === "total" ? step.value : level;
    level = step.kind === "total" ? step.value : from;
    const [a, b] = [x(Math.min(from, to)), x(Math.max(from, to))];
    marks.push(
      svg("text", {x: left - 10, y: y + 18, "text-anchor": "end", class: "label"}, step.name),
      svg("rect", {x: a, y, width: Math.max(1.5, b - a), height: row - 10, rx: 3, class: `bar ${step.layer}`}),
      svg(
        "text",
        {x: b + 8, y: y + 18, class: "value"},
        step.kind === "total" ? format(step.value) : (step.value >= 0 ? "−" : "+") + format(Math.abs(step.value)),
      ),
    );
    if (index + 1 < steps.length)
      marks.push(svg("line", {x1: x(level), x2: x(level), y1: y + row - 10, y2: y + row, class: "link"}));
  });
  return svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      class: "chart",
      "aria-label": steps.map(step => `${step.name} ${format(step.value)}`).join(", "),
    },
    ...marks,
  );
};

// One session's calls as columns: what was read, written and fresh, `which` ("actual" or "with_payonce"). A rebuild has
// a mark above. Arrow keys move.
const timelineChart = (steps, which, rebuilds, show) => {
  const gap = steps.length > 160 ? 0 : 1,
    width = 760,
    height = 110,
    top = 18;
  const column = Math.max(1, (width - steps.length * gap) / steps.length);
  const input = prompt => prompt.fresh + prompt.read + prompt.written;
  const most = Math.max(...steps.map(step => Math.max(input(step.actual), input(step.with_payonce))), 1);
  const y = tokens => top + (height - top) * (1 - tokens / most);
  const columns = steps.map((step, index) => {
    const x = index * (column + gap),
      prompt = step[which];
    let level = 0;
    const parts = ["read", "written", "fresh"].map(kind => {
      const rect = svg("rect", {
        x,
        width: column,
        y: y(level + prompt[kind]),
        height: Math.max(0, y(level) - y(level + prompt[kind])),
        class: kind,
      });
      level += prompt[kind];
      return rect;
    });
    const rebuild = which === "actual" && step.rebuild >= 0 ? rebuilds[step.rebuild] : null;
    if (rebuild) parts.push(svg("path", {class: "rebuild", d: `M${x + column / 2 - 4.5},2 h9 l-4.5,9 z`}));
    const what =
      `Request ${step.request}, ${moment(step.at_ms)}: ${count(prompt.read)} read, ` +
      `${count(prompt.written)} written, ${count(prompt.fresh)} fresh` +
      (rebuild ? `; rebuilt, ${rebuild.cause}, ${usd(rebuild.cost_usd)}` : "");
    const group = svg(
      "g",
      {class: "column", tabindex: index === 0 ? 0 : -1, role: "img", "aria-label": what},
      svg("rect", {x, width: column + gap, y: 0, height, class: "ground"}),
      ...parts,
      svg("title", {}, what),
    );
    const tell = () => show(step, rebuild);
    group.addEventListener("focus", tell);
    group.addEventListener("mouseenter", tell);
    return group;
  });
  const chart = svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      class: "chart timeline",
      role: "group",
      "aria-label": "Calls in the order of time; arrow keys move",
    },
    ...columns,
  );
  chart.addEventListener("keydown", event => {
    const at = columns.indexOf(document.activeElement);
    const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: columns.length - 1}[event.key];
    if (at < 0 || next === undefined || !columns[next]) return;
    event.preventDefault();
    columns[at].setAttribute("tabindex", -1);
    columns[next].setAttribute("tabindex", 0);
    columns[next].focus();
  });
  return chart;
};

// Counts in named buckets.
const histogram = (buckets, name) => {
  const width = 720,
    row = 24,
    left = 150,
    right = 70,
    most = Math.max(...buckets.map(b => b.count), 1);
  return svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${buckets.length * row}`,
      role: "img",
      class: "chart",
      "aria-label": `${name}: ` + buckets.map(b => `${b.name} ${b.count}`).join(", "),
    },
    ...buckets.flatMap((bucket, index) => {
      const size = ((width - left - right) * bucket.count) / most,
        y = index * row;
      return [
        svg("text", {x: left - 10, y: y + 15, "text-anchor": "end", class: "label"}, bucket.name),
        svg("rect", {
          x: left,
          y: y + 3,
          width: Math.max(size, bucket.count > 0 ? 1.5 : 0),
          height: row - 8,
          rx: 2,
          class: "bar upstream",
        }),
        svg("text", {x: left + size + 8, y: y + 15, class: "value"}, count(bucket.count)),
      ];
    }),
  );
};
