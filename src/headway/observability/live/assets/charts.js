// Draws the charts: turns the seconds that live.js holds into plotly traces.
// Each drawing returns {traces, layout, text}; the text describes the chart.

import { colour, colours, dress, format, line } from "./theme.js";

const MOST_BATCHES = 1200;

export const sum = (values) => values.reduce((total, value) => total + value, 0);

// Plotly shows times as UTC, so they are shifted to local time.
function times(seconds) {
  const shift = new Date().getTimezoneOffset() * 60;
  return seconds.map((second) => new Date((second.time - shift) * 1000).toISOString().slice(0, -1));
}

function describe(what, values, unit) {
  const known = values.filter((value) => value != null);
  if (!known.length) return `${what}: no data in the last 15 minutes.`;
  const last = values[values.length - 1];
  const now = last == null ? "no data" : `${format(last)}${unit}`;
  return `${what}: now ${now}, highest ${format(Math.max(...known))}${unit}.`;
}

// Stacked areas of {label: per second}, for all labels with a value.
function stacked(seconds, field, what) {
  const labels = [...new Set(seconds.flatMap((second) =>
    Object.keys(second[field]).filter((label) => second[field][label])))].sort();
  const x = times(seconds);
  const traces = labels.map((label, index) =>
    line(label, index, x, seconds.map((second) => second[field][label] ?? 0),
      { stackgroup: "all" }));
  if (!traces.length) traces.push(line("none", 0, x, seconds.map(() => 0)));
  const totals = seconds.map((second) => sum(Object.values(second[field])));
  return { traces, layout: {}, text: describe(what, totals, " per second") };
}

// Median, 90th and 99th percentile of a spread [mean, p50, p90, p99].
function percentiles(seconds, spreadOf, what) {
  const x = times(seconds);
  const spreads = seconds.map(spreadOf);
  const names = ["p50", "p90", "p99"];
  const traces = names.map((name, index) =>
    line(name, index, x, spreads.map((spread) => spread && spread[index + 1])));
  const text = describe(`${what}, p99`,
    spreads.map((spread) => spread && spread[3]), " ms");
  return { traces, layout: {}, text };
}

export function sizeNames(bounds) {
  const names = bounds.map((high, index) => {
    const low = (index ? bounds[index - 1] : 0) + 1;
    return low === high ? `${high}` : `${low}–${high}`;
  });
  return [...names, `over ${bounds[bounds.length - 1]}`];
}

function largestUsed(sizes) {
  return Math.max(0, ...sizes.map((counts) => counts.findLastIndex((count) => count > 0)));
}

export const drawings = {
  answered: (data) => stacked(data.seconds, "answered", "Answers"),
  refused: (data) => stacked(data.seconds, "refused", "Calls refused"),
  latency: (data) => percentiles(data.seconds, (second) => second.latency_ms, "Latency"),
  wait: (data, at) =>
    percentiles(data.seconds, (second) => second.runners[at].wait_ms, "Queue wait"),
  compute: (data, at) =>
    percentiles(data.seconds, (second) => second.runners[at].compute_ms, "Batch time"),

  sizes(data, at) {
    const sizes = data.seconds.map((second) => second.runners[at].sizes);
    const names = sizeNames(data.totals.size_bounds).slice(0, largestUsed(sizes) + 1);
    const x = times(data.seconds);
    const means = data.seconds.map(({ runners }) =>
      runners[at].batches ? runners[at].rows / runners[at].batches : null);
    const traces = [{
      type: "heatmap", x, y: names, showscale: false, name: "batches",
      z: names.map((_, index) => sizes.map((counts) => counts[index] || null)),
      colorscale: [[0, colours.line], [1, colour(0)]],
      hovertemplate: "%{y} rows: %{z} batches<extra></extra>",
    }];
    const layout = { yaxis: { type: "category" }, hovermode: "closest" };
    return { traces, layout, text: describe("Mean batch size", means, "") };
  },

  distribution(data, at) {
    const sizes = data.seconds.map((second) => second.runners[at].sizes);
    const names = sizeNames(data.totals.size_bounds).slice(0, largestUsed(sizes) + 1);
    const counts = names.map((_, index) => sum(sizes.map((one) => one[index])));
    const most = names[counts.indexOf(Math.max(...counts))];
    const traces = [{
      type: "bar", x: names, y: counts, name: "batches", marker: { color: colour(0) },
    }];
    const text = sum(counts)
      ? `${format(sum(counts))} batches in the last 15 minutes, most often of ${most} rows.`
      : "No batch in the last 15 minutes.";
    return { traces, layout: { xaxis: { type: "category" } }, text };
  },

  queue(data, at) {
    const rows = data.seconds.map((second) => second.runners[at].queue);
    const trace = line("rows", 0, times(data.seconds), rows, { fill: "tozeroy" });
    return { traces: [trace], layout: {}, text: describe("Queued rows", rows, "") };
  },

  busy(data, at) {
    const x = times(data.seconds);
    const replicas = data.totals.runners[at].replicas;
    const shares = replicas.map((_, index) =>
      data.seconds.map(({ runners }) => runners[at].busy[index] ?? null));
    const traces = replicas.map((replica, index) =>
      line(`replica ${replica.number}`, index, x, shares[index]));
    const layout = { yaxis: { range: [0, 1.02], tickformat: ".0%" } };
    const percent = (shares[0] ?? []).map((share) => share == null ? null : 100 * share);
    return { traces, layout, text: describe("Busy, first replica", percent, " %") };
  },

  costs(data, at) {
    const traces = [];
    const shown = [];
    let most = "";
    const learned = data.totals.runners[at].costs;
    const recent = data.seconds.map((second) => second.runners[at].recent);
    const methods = [...new Set([...Object.keys(learned), ...recent.flatMap(Object.keys)])];
    methods.forEach((method, index) => {
      const prefix = methods.length > 1 ? `${method}, ` : "";
      const batches = recent.flatMap((one) => one[method] ?? []);
      const step = Math.ceil(batches.length / MOST_BATCHES);
      const drawn = batches.filter((_, number) => number % step === 0);
      traces.push({
        type: "scatter", mode: "markers", name: `${prefix}batches`,
        x: drawn.map(([rows]) => rows), y: drawn.map(([, ms]) => ms),
        marker: { color: colour(2 * index), size: 5, opacity: 0.35 },
      });
      const seen = batches.map(([, ms]) => ms).sort((a, b) => a - b);
      shown.push(seen[Math.floor(0.98 * seen.length)] ?? 0);
      const curve = learned[method] ?? [];
      if (!curve.length) return;
      shown.push(...curve.map(([, , tail]) => tail));
      const rows = curve.map(([size]) => size);
      traces.push({
        ...line(`${prefix}mean`, 2 * index, rows, curve.map(([, mean]) => mean)),
        mode: "lines+markers",
      });
      traces.push(line(`${prefix}p99, estimated`, 2 * index + 1, rows,
        curve.map(([, , tail]) => tail)));
      const [size, mean] = curve[curve.length - 1];
      most += `${method}: a batch of ${size} rows takes ${format(mean)} ms. `;
    });
    const layout = {
      xaxis: { type: "log", dtick: Math.log10(2), tickformat: "d" },
      // Clip outliers: a few long batches would flatten the others.
      yaxis: { range: [0, 1.2 * Math.max(0.001, ...shown)] },
      hovermode: "closest",
    };
    return { traces, layout, text: most || "No batch time is learned yet." };
  },
};

// Draws one chart into an element whose dataset names the chart and the runner.
export function draw(element, data) {
  const at = Number(element.dataset.runner ?? 0);
  const { traces, layout, text } = drawings[element.dataset.chart](data, at);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", text);
  const legendRows = traces.length > 1 ? Math.ceil(traces.length / 3) : 0;
  const time = { type: "date", tickformat: "%H:%M:%S", nticks: 5 };
  Plotly.react(element, traces, dress({ xaxis: time, ...layout }, 240, legendRows),
    { displayModeBar: false, responsive: true });
}
