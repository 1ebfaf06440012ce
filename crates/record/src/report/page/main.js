"use strict";
// State of the page, filters, and what is drawn anew when they change.

const state = {
  run: 0, metric: "ttft", scale: "auto", zoom: null, sort: "latency", turned: false, page: 0, order: [], server: null,
  xAxis: "output_token_throughput_per_user avg", yAxis: "output_token_throughput avg",
  filter: { phase: "profiling", outcome: "all", connection: "all", ttft: 0, latency: 0, text: "" },
};
const current = () => RUNS[state.run];

// Rows of a run that pass the filters; with `timed`, only those that touch the time that is zoomed in on.
let cache = new Map();
function rowsOf(run, timed = true) {
  const zoomed = timed && state.zoom && run === current() ? state.zoom : null;
  const key = `${run.number} ${zoomed}`;
  if (cache.has(key)) return cache.get(key);
  const { phase, outcome, connection, ttft, latency: slow, text } = state.filter;
  const words = text.trim().toLowerCase();
  const rows = [];
  for (let row = 0; row < run.rows; row++) {
    if (phase !== "all" && run.is(FLAG.warmup, row) !== (phase === "warmup")) continue;
    if (outcome !== "all" && run.is(FLAG.failed, row) !== (outcome === "failed")) continue;
    if (connection !== "all" && run.is(FLAG.reused, row) !== (connection === "reused")) continue;
    if (ttft > 0 && !(run.at("ttft", row) >= ttft)) continue;
    if (slow > 0 && !(run.length(row) >= slow)) continue;
    if (zoomed && (run.at("start", row) > zoomed[1] || run.at("start", row) + run.length(row) < zoomed[0])) continue;
    if (words && !matches(run, row, words)) continue;
    rows.push(row);
  }
  cache.set(key, rows);
  return rows;
}

function matches(run, row, words) {
  return String(run.at("line", row)) === words.replace("#", "") || String(run.at("status", row)) === words
    || run.error(row).toLowerCase().includes(words) || (run.details.get(row)?.id ?? "").toLowerCase().includes(words);
}

// The even sample alone: what was added for being slow or failed would bend a distribution.
const even = (run, rows) => (run.stride === 1 ? rows : rows.filter((row) => !run.is(FLAG.beyond, row)));

const filterOutput = el("output", { "aria-live": "polite" });

function filterBar() {
  const set = (name) => (value) => { state.filter[name] = value; filtered(); };
  const least_ = (name, text) => el("label", {}, `${text} ≥`, el("input", { type: "number", min: 0, step: "any", placeholder: "ms", value: state.filter[name] || "", oninput: (event) => set(name)(Number(event.target.value) || 0) }));
  const any = (flag) => RUNS.some((run) => { for (let row = 0; row < run.rows; row++) if (run.is(flag, row)) return true; return false; });
  return el("section", { class: "filters", id: "filters", "aria-label": "Filters" },
    any(FLAG.warmup) && choice("Phase", [["profiling", "profiling"], ["warmup", "warmup"], ["all", "both"]], state.filter.phase, set("phase")),
    choice("Outcome", [["all", "any outcome"], ["ok", "succeeded"], ["failed", "failed"]], state.filter.outcome, set("outcome")),
    any(FLAG.reused) && choice("Connection", [["all", "any connection"], ["new", "new"], ["reused", "reused"]], state.filter.connection, set("connection")),
    least_("ttft", "First token"), least_("latency", "Latency"),
    el("label", {}, el("input", { type: "search", id: "find", placeholder: "id, line, error", "aria-label": "Find by id, line, status or error", oninput: (event) => set("text")(event.target.value) })),
    el("button", { type: "button", id: "reset", onclick: reset }, "Clear"), filterOutput);
}

function reset() {
  Object.assign(state.filter, { phase: "profiling", outcome: "all", connection: "all", ttft: 0, latency: 0, text: "" });
  state.zoom = null;
  const bar = filterBar();
  document.getElementById("filters").replaceWith(bar);
  filtered();
  document.getElementById("reset").focus();
}

let pending = 0;
function filtered() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    cache = new Map();
    state.page = 0;
    for (const id of ["distributions", "time", "server", "lanes", "requests"]) redraw(id);
  }, 120);
}

// Shows a stretch of time everywhere; null shows the whole run.
function zoom(range, focus) {
  state.zoom = range;
  state.page = 0;
  cache = new Map();
  for (const id of ["distributions", "time", "server", "lanes", "requests"]) redraw(id);
  if (focus) document.querySelector(`#${focus} canvas[tabindex]`)?.focus();
}

function redraw(id) {
  const { body, fill: draw, when, element } = SECTIONS.find((one) => one.id === id);
  element.hidden = !when();
  const focus = document.activeElement;
  const held = body.contains(focus) ? [focus.tagName, [...body.querySelectorAll(focus.tagName)].indexOf(focus)] : null;
  const open = [...body.querySelectorAll("details")].map((one) => one.open);
  const height = body.offsetHeight;
  body.style.minHeight = `${height}px`;
  body.replaceChildren();
  sweep();
  if (!element.hidden) draw(body);
  [...body.querySelectorAll("details")].forEach((one, at) => { one.open = open[at] ?? false; });
  if (held) body.querySelectorAll(held[0])[held[1]]?.focus({ preventScroll: true });
  body.style.minHeight = "";
  const run = current(), rows = rowsOf(run).length;
  filterOutput.textContent = `${count(rows)} of ${plural(run.rows, "request")}${state.zoom ? `, ${stamp(state.zoom[0])} to ${stamp(state.zoom[1])}` : ""}`;
}

function redrawAll() {
  cache = new Map();
  for (const { id } of SECTIONS) redraw(id);
  const filters = document.getElementById("filters");
  filters.hidden = current().rows === 0;
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light" : "Dark";
}

const HELP = [
  ["1 – 9", "go to a section"], ["/", "find a request"], ["[ and ]", "previous and next run"], ["t", "light or dark"], ["0", "show the whole time, in the swim lanes"],
  ["← ↑ → ↓", "between requests, in swim lanes, table and detail"], ["Enter", "look into a request"], ["+ and −", "zoom, in the swim lanes"], ["Esc", "close"], ["?", "this list"],
];

function help() {
  const dialog = document.getElementById("help");
  dialog.replaceChildren(el("header", {}, el("h2", { id: "help-title" }, "Keyboard"), el("span", { class: "stretch" }), el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    table(["Key", "Does"], HELP.map(([key, does]) => [el("kbd", {}, key), does])));
  dialog.showModal();
}

function shortcuts(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "radio" || document.querySelector("dialog[open]")) return;
  const turn = (by) => { const next = state.run + by; if (RUNS[next]) chooseRun(next); };
  const does = { "?": help, "/": () => document.getElementById("find").focus(), t: () => document.getElementById("theme").click(), "[": () => turn(-1), "]": () => turn(1) }[event.key];
  const shown = SECTIONS.filter(({ element }) => !element.hidden);
  if (does) { does(); event.preventDefault(); }
  else if (/^[1-9]$/.test(event.key) && shown[event.key - 1]) { location.hash = shown[event.key - 1].id; event.preventDefault(); }
}

function chooseRun(run) {
  Object.assign(state, { run, zoom: null, page: 0, server: null });
  document.getElementById("run").value = String(run);
  redrawAll();
}

function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  theme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => { theme(dark.matches ? "dark" : "light"); redrawAll(); });
  document.getElementById("theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); redrawAll(); });
  document.getElementById("keys").addEventListener("click", help);
  document.addEventListener("keydown", shortcuts);
  const select = document.getElementById("run");
  select.append(...RUNS.map((run) => el("option", { value: String(run.number) }, run.name)));
  select.addEventListener("change", () => chooseRun(Number(select.value)));
  select.parentElement.hidden = RUNS.length < 2;
  document.title = RUNS.length === 1 ? `${RUNS[0].name} · tokmeter report` : `${RUNS.length} runs · tokmeter report`;

  const rows = () => current().rows > 0;
  const main = document.getElementById("content");
  main.replaceChildren(
    section("summary", "Verdict", "", (body) => summaryOf(current(), body)),
    section("figures", "Key numbers", "", (body) => keyNumbers(current(), body)),
    section("runs", "Runs", "throughput against latency; the dashed line joins the best trade-offs", severalRuns, () => RUNS.length > 1),
    filterBar(),
    section("distributions", "Distributions", RUNS.length > 1 ? "all runs" : "", distributions, () => RUNS.some((run) => run.rows > 0)),
    section("time", "Over time", "drag to zoom, double-click to show all", (body) => overTime(current(), body), rows),
    section("server", "Server metrics", "what the server said of itself, on the same time axis", (body) => serverMetrics(current(), body), () => current().server.length > 0),
    section("lanes", "Timeline", "requests by connection", (body) => swimLanes(current(), body), rows),
    section("requests", "Requests", "click or Enter to look into one; the dark mark is the first token", (body) => requestList(current(), body), rows),
    section("configuration", "Configuration", "", (body) => configuration(current(), body)));
  redrawAll();
  const links = document.getElementById("contents");
  links.replaceChildren(...SECTIONS.filter(({ element }) => !element.hidden).map(({ id, title }) => el("a", { href: `#${id}` }, title)));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) for (const link of links.children) link.className = link.hash === `#${entry.target.id}` ? "here" : "";
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const { element } of SECTIONS) seen.observe(element);
  document.getElementById("foot").textContent = `Written by ${EMBEDDED.generator}. This file holds all of its data and asks nothing of any network. Charts: uPlot (MIT).`;
}

start();
