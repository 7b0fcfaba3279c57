// Draws a report's charts from the data embedded in the page, and saves that data.
// It follows theme.js in the same script, because a single file cannot import.

const SYMBOLS = ["circle", "x", "diamond", "square", "cross", "triangle-up"];
const SHAPES = ["", "/", "\\", "x", "-", "."];
const MOST_MARKED = 60;
const LONGEST_NAME = 16;

const byId = (id) => document.getElementById(id);
const charts = JSON.parse(byId("charts").textContent);

function trace({ kind }, { name, xs, ys }, index) {
  if (kind === "bar") {
    const marker = { color: colour(index), pattern: { shape: nth(SHAPES, index), size: 6 } };
    return { type: "bar", name, x: xs, y: ys, marker };
  }
  const marker = { color: colour(index), size: 8, symbol: nth(SYMBOLS, index) };
  if (kind === "points") return { type: "scatter", mode: "markers", name, x: xs, y: ys, marker };
  const mode = xs.length <= MOST_MARKED ? "lines+markers" : "lines";
  return line(name, index, xs, ys, { mode, marker });
}

const shortened = (name) =>
  name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;

// Rows of the legend: as many as the names need in this width, up to 8.
function legendRows({ series }, width) {
  if (series.length < 2) return 0;
  const longest = Math.max(...series.map(({ name }) => name.length));
  const each = Math.max(1, Math.floor((width - 80) / (48 + 7 * longest)));
  return Math.min(8, Math.ceil(series.length / each));
}

// A logarithmic axis labels 1, 2 and 5 of each decade if there is room.
function scale(values, isLog, text, room) {
  const title = { text, standoff: 6 };
  if (!isLog) return { title, type: "linear" };
  const seen = values.filter((value) => value > 0);
  const decades = Math.log10(Math.max(...seen) / Math.min(...seen));
  const dtick = 3 * decades > room ? 1 : "D2";
  return { title, type: "log", dtick, tickformat: ",.7~g" };
}

function xAxis({ series, log_x: isLog, x_label: text }, width) {
  const names = [...new Set(series.flatMap(({ xs }) => xs))];
  if (typeof names[0] !== "string") return scale(names, isLog, text, width / 60);
  if (names.every((name) => !Number.isNaN(Number(name)))) names.sort((a, b) => a - b);
  const title = { text, standoff: 6 };
  return {
    title, type: "category", categoryarray: names, tickvals: names, ticktext: names.map(shortened),
  };
}

// A mouse may zoom; a finger on a chart scrolls the page.
const mayZoom = matchMedia("(pointer: fine)").matches;

function draw(chart, element) {
  const rows = legendRows(chart, element.clientWidth);
  const height = 290 + 22 * rows;
  const heights = chart.series.flatMap(({ ys }) => ys);
  const layout = dress({
    barmode: "group", hovermode: chart.kind === "points" ? "closest" : "x unified",
    dragmode: mayZoom ? "zoom" : false,
    xaxis: { ...xAxis(chart, element.clientWidth), fixedrange: !mayZoom },
    yaxis: { ...scale(heights, chart.log_y, chart.y_label, 12), fixedrange: !mayZoom },
  }, height, rows);
  layout.margin = { ...layout.margin, l: 72, r: 16, b: layout.margin.b + 26 };
  const traces = chart.series.map((series, index) => trace(chart, series, index));
  Plotly.react(element, traces, layout, { displayModeBar: false, responsive: true });
}

function drawAll() {
  readColours();
  for (const element of document.querySelectorAll(".chart")) {
    draw(charts[Number(element.dataset.chart)], element);
  }
}

function save() {
  const file = new Blob([byId("data").textContent], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${document.title.replaceAll(/[^\w-]+/g, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

byId("save").addEventListener("click", save);
byId("save").hidden = false;
if (typeof Plotly !== "undefined") {
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
}
