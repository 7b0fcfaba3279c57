// The look of charts on all pages: colours, lines and axes. Reports embed it, too.

const LINES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const format = (value) => (value == null ? "–" : number.format(value));
export const colours = { text: "", line: "", card: "", series: [] };
export const colour = (index) => colours.series[index % colours.series.length];

// The colours come from the style sheet, which follows the reader's colour scheme.
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  colours.text = named("text");
  colours.line = named("line");
  colours.card = named("card");
  colours.series = [1, 2, 3, 4, 5, 6].map((n) => named(`c${n}`));
}

// Distinguishes series of the same colour.
export function nth(kinds, index) {
  return kinds[(index + Math.floor(index / colours.series.length)) % kinds.length];
}

// Lines differ by dashes as well as colour.
export function line(name, index, x, y, more) {
  const style = { color: colour(index), width: 2, dash: nth(LINES, index) };
  return { type: "scatter", mode: "lines", name, x, y, line: style, ...more };
}

// A chart's layout: the given one, with the common defaults.
export function dress(layout, height, legendRows) {
  const axis = {
    gridcolor: colours.line, zerolinecolor: colours.line, fixedrange: true, automargin: false,
  };
  return {
    // Fixed margins: plotly's own search for them does not always end.
    autosize: true, height,
    margin: { l: 52, r: 8, t: 8, b: 30 + 22 * legendRows, autoexpand: false },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colours.text, family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { bgcolor: colours.card, font: { color: colours.text } },
    showlegend: legendRows > 0,
    legend: {
      orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom",
      bgcolor: "rgba(0,0,0,0)",
    },
    hovermode: "x unified", dragmode: false, ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, rangemode: "tozero", ...layout.yaxis },
  };
}
