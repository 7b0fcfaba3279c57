// The live page: fetches each new second, writes the figures, and draws the charts.

import { draw, sum } from "./charts.js";
import { format, readColours } from "./theme.js";

const KEPT_SECONDS = 900;
const SPOKEN_EVERY = 15;
const CALM_EVERY = 5;
const PERIOD_MS = 1000;
const TIMEOUT_MS = 5000;

const hasCharts = typeof Plotly !== "undefined";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const data = { run: "", newest: 0, seconds: [], totals: null };
const visible = new Set();
let isPaused = false;
let timer = 0;
let rounds = 0;

const byId = (id) => document.getElementById(id);

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setStatus(text, isLost = false) {
  write(byId("status"), text);
  byId("status").classList.toggle("lost", isLost);
}

// Rows of cells; a table is rebuilt only if something in it changed.
function fill(body, rows) {
  const key = JSON.stringify(rows);
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((cell) => {
      const element = document.createElement("td");
      element.textContent = cell;
      return element;
    }));
    return row;
  }));
}

const exact = (count) => count.toLocaleString("en");
const milliseconds = (ms) => (ms == null ? "–" : `${format(ms)} ms`);
const perSecond = (rate) => `${format(rate)}/s`;
const total = (rates) => sum(Object.values(rates));

// --- the runners' sections

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) visible.add(target);
    else visible.delete(target);
  }
  drawVisible();
}, { rootMargin: "100px" });

function makeRunners() {
  byId("runners").replaceChildren(...data.totals.runners.map((runner, at) => {
    const section = byId("runner").content.cloneNode(true).firstElementChild;
    const heading = section.querySelector("h2");
    heading.textContent = `Runner ${runner.name}`;
    heading.id = `runner-${at}`;
    section.setAttribute("aria-labelledby", heading.id);
    for (const region of section.querySelectorAll("[role=region]")) {
      const caption = region.querySelector("caption").textContent;
      region.setAttribute("aria-label", `${caption}, runner ${runner.name}`);
    }
    for (const chart of section.querySelectorAll(".chart")) chart.dataset.runner = at;
    return section;
  }));
  observer.disconnect();
  visible.clear();
  if (hasCharts) {
    for (const chart of document.querySelectorAll(".chart")) observer.observe(chart);
  }
}

function writeRunner(section, second, totals) {
  const figure = (name, text) => write(section.querySelector(`[data-figure=${name}]`), text);
  const table = (name, rows) => fill(section.querySelector(`[data-table=${name}]`), rows);
  const up = totals.replicas.filter((replica) => replica.is_up).length;
  figure("batches", perSecond(second.batches));
  figure("batch-rows", format(second.batches ? second.rows / second.batches : null));
  figure("queue", exact(second.queue));
  figure("wait", milliseconds(second.wait_ms?.[3]));
  figure("compute", milliseconds(second.compute_ms?.[0]));
  figure("up", `${up} of ${totals.replicas.length}`);
  table("replicas", totals.replicas.map((replica, index) => [
    replica.number,
    replica.is_up ? (replica.is_busy ? "busy" : "idle") : "down",
    `${format(100 * (second.busy[index] ?? 0))} %`,
    exact(replica.restarts),
  ]));
  table("costs", Object.entries(totals.costs).flatMap(([method, sizes]) =>
    sizes.map(([rows, mean, tail]) =>
      [method, exact(rows), milliseconds(mean), milliseconds(tail)])));
  table("counts", [
    ["batches", exact(totals.batches)],
    ["rows", exact(totals.rows)],
    ["wasted rows", exact(totals.wasted_rows)],
    ["cancelled rows", exact(totals.cancelled_rows)],
    ["extra calls for isolation", exact(totals.isolation_calls)],
  ]);
}

// --- one round

function writeFigures() {
  const { seconds, totals } = data;
  const second = seconds[seconds.length - 1];
  write(byId("rate"), perSecond(total(second.answered)));
  write(byId("in-progress"), exact(second.in_progress));
  write(byId("refused"), perSecond(total(second.refused)));
  ["50", "90", "99"].forEach((share, index) =>
    write(byId(`latency-${share}`), milliseconds(second.latency_ms?.[index + 1])));
  [...byId("runners").children].forEach((section, at) =>
    writeRunner(section, second.runners[at], totals.runners[at]));
  fill(byId("answered-totals"), totals.answered.map(([endpoint, code, count]) =>
    [endpoint, code, exact(count)]));
  const counted = (counts) => Object.entries(counts).map(([name, n]) => [name, exact(n)]);
  fill(byId("refused-totals"), counted(totals.refused));
  fill(byId("restart-totals"), counted(totals.restarts));
}

function announce() {
  const second = data.seconds[data.seconds.length - 1];
  const replicas = data.totals.runners.flatMap((runner) => runner.replicas);
  const up = replicas.filter((replica) => replica.is_up).length;
  write(byId("spoken"), [
    `${format(total(second.answered))} requests per second`,
    `median latency ${milliseconds(second.latency_ms?.[1])}`,
    `${format(total(second.refused))} refused per second`,
    `${up} of ${replicas.length} replicas up`,
  ].join(", "));
}

function drawVisible() {
  if (!hasCharts || !data.totals || document.hidden) return;
  for (const chart of visible) draw(chart, data);
}

function take(answer) {
  if (answer.run !== data.run) {
    // The server was restarted: the answer lacks the seconds before `newest`.
    const isFirst = !data.run;
    Object.assign(data, { run: answer.run, newest: 0, seconds: [], totals: null });
    if (!isFirst) return;
  }
  data.newest = answer.newest;
  if (!answer.seconds.length) return;
  const isFirst = data.totals === null;
  data.totals = answer.totals;
  data.seconds = [...data.seconds, ...answer.seconds].slice(-KEPT_SECONDS);
  if (isFirst) makeRunners();
  writeFigures();
  if (rounds % SPOKEN_EVERY === 0) announce();
  if (!calm.matches || rounds % CALM_EVERY === 0) drawVisible();
  rounds += 1;
}

async function update() {
  clearTimeout(timer);
  try {
    const answer = await fetch(`live/data?since=${data.newest}`, {
      cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const found = await answer.json();
    if (isPaused) return;
    take(found);
    setStatus("Live");
  } catch (error) {
    if (isPaused) return;
    console.warn(error);
    setStatus("The server does not answer; retrying", true);
  }
  // A hidden page fetches nothing, and catches up when it is visible again.
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(update, PERIOD_MS);
}

byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  if (isPaused) {
    clearTimeout(timer);
    setStatus("Paused");
  } else update();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !isPaused) update();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readColours();
  drawVisible();
});
document.body.classList.toggle("no-charts", !hasCharts);
readColours();
update();
