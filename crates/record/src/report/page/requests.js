"use strict";
// The requests of the selection as a waterfall, and one of them in detail.

const PAGE_ROWS = 25;
const SORTS = [
  ["latency", "Latency", -1],
  ["ttft", "First token", -1],
  ["itl", "ITL", -1],
  ["start", "Start", 1],
  ["osl", "Out", -1],
];

function requestList(run, body) {
  const rows = Array.from(rowsOf(run));
  const [key, , direction] = SORTS.find(([name]) => name === state.sort) ?? SORTS[0];
  const value = (row) => { const of = key === "latency" ? run.length(row) : run.at(key, row); return Number.isNaN(of) ? -Infinity * direction : of; };
  rows.sort((a, b) => direction * (value(a) - value(b)) * (state.turned ? -1 : 1) || a - b);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
  state.page = Math.max(0, Math.min(pages - 1, state.page));
  const shown = rows.slice(state.page * PAGE_ROWS, (state.page + 1) * PAGE_ROWS);
  state.order = rows;
  if (rows.length === 0) { body.append(el("p", { class: "empty" }, "No request in this selection.")); return; }
  const scale = most(shown.map((row) => run.length(row))) || 1;
  const sortButton = ([name, text]) => el("th", { scope: "col", class: "n", "aria-sort": name === key ? ((direction < 0) !== state.turned ? "descending" : "ascending") : "none" },
    el("button", { type: "button", onclick: () => { state.turned = name === key && !state.turned; state.sort = name; state.page = 0; redraw("requests"); } }, `${text}${name === key ? ((direction < 0) !== state.turned ? " ↓" : " ↑") : ""}`));
  const head = el("tr", {}, el("th", { scope: "col" }, "Record"), ...SORTS.map(sortButton), el("th", { scope: "col", class: "falls" }, `Phases, 0 to ${duration(scale)}`));
  const lines = shown.map((row) => el("tr", { onclick: () => openDetail(run, row), onmousemove: (event) => showTip(event, brief(run, row)), onmouseleave: hideTip },
    el("th", { scope: "row" }, el("button", { type: "button", class: "open", "data-row": row, "aria-label": `Open the request of record line ${run.at("line", row)}` }, `#${run.at("line", row)}`), " ",
      run.is(FLAG.failed, row) ? el("span", { class: "badge bad" }, run.is(FLAG.cancelled, row) ? "cancelled" : "failed") : run.is(FLAG.warmup, row) && el("span", { class: "badge" }, "warmup")),
    el("td", { class: "n" }, duration(run.length(row))), el("td", { class: "n" }, duration(run.at("ttft", row))), el("td", { class: "n" }, duration(run.at("itl", row))),
    el("td", { class: "n" }, stamp(run.at("start", row))), el("td", { class: "n" }, number(run.at("osl", row))), el("td", { class: "falls" }, fall(run, row, scale))));
  const turn = (text, by, possible) => el("button", { type: "button", disabled: !possible, onclick: () => { state.page += by; redraw("requests"); } }, text);
  body.append(
    el("div", { class: "scroll" }, el("table", { class: "requests", onkeydown: arrowRows }, el("thead", {}, head), el("tbody", {}, lines))),
    el("div", { class: "pages" }, turn("Previous", -1, state.page > 0), el("span", {}, `${count(state.page * PAGE_ROWS + 1)}–${count(state.page * PAGE_ROWS + shown.length)} of ${count(rows.length)}`), turn("Next", 1, state.page < pages - 1)));
}

// Up and down move between the rows of the table.
function arrowRows(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const buttons = [...event.currentTarget.querySelectorAll("button.open")];
  const at = buttons.indexOf(document.activeElement);
  if (!by || at < 0) return;
  buttons[Math.max(0, Math.min(buttons.length - 1, at + by))].focus();
  event.preventDefault();
}

function fall(run, row, scale) {
  const share = (ms) => `${(Math.max(0, ms) / scale) * 100}%`;
  const bar = (from, to, background, opacity) => el("i", { style: { left: share(from), width: share(to - from), background: `var(--${background})`, ...(opacity ? { opacity } : {}) } });
  const parts = run.phases(row);
  const ttft = run.at("ttft", row);
  return el("div", { class: "fall" },
    bar(0, run.length(row), run.is(FLAG.failed, row) ? "bad" : "muted", parts.length ? "0.25" : "0.6"),
    parts.flatMap(({ phase, from, to }) => (phase.name === "receiving" && ttft > from && ttft < to
      ? [bar(from, ttft, phase.name, "0.45"), bar(ttft, to, phase.name)] : [bar(from, to, phase.name)])),
    Number.isFinite(ttft) && el("i", { class: "mark", title: "first token", style: { left: share(ttft) } }));
}

const detail = document.getElementById("detail");

function openDetail(run, row) {
  hideTip();
  const at = state.order.indexOf(row);
  const step = (by) => { const next = state.order[state.order.indexOf(row) + by]; if (next !== undefined) openDetail(run, next); };
  const length = run.length(row), failed = run.is(FLAG.failed, row), known = run.details.get(row);
  detail.replaceChildren(el("div", {},
    el("header", {},
      el("h2", { id: "detail-title" }, `Request of record line ${count(run.at("line", row))}`),
      el("span", { class: `badge ${failed ? "bad" : "good"}` }, failed ? (run.is(FLAG.cancelled, row) ? "cancelled" : "failed") : "succeeded"),
      run.is(FLAG.warmup, row) && el("span", { class: "badge" }, "warmup"),
      el("span", { class: "stretch" }),
      el("button", { type: "button", disabled: at <= 0, onclick: () => step(-1), "aria-label": "Previous request" }, "←"),
      el("button", { type: "button", disabled: at < 0 || at + 1 >= state.order.length, onclick: () => step(1), "aria-label": "Next request" }, "→"),
      el("button", { type: "button", onclick: () => detail.close() }, "Close")),
    failed && el("pre", { class: "error" }, run.error(row)),
    phaseRows(run, row, length),
    facts(run, row, known)));
  const tokens = run.tokens(row);
  const host = figure(true);
  detail.append(host);
  detail.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { step(by); event.preventDefault(); }
  };
  if (!detail.open) detail.showModal();
  sweep();
  if (tokens.length > 1) {
    const gaps = Array.from(tokens.subarray(1), (value, index) => value - tokens[index]);
    chart(host, { title: `Gap before each of ${plural(tokens.length, "chunk")}, by arrival`, height: 170, x: Array.from(tokens.subarray(1)), xFormat: duration, yFormat: duration, xLabel: "arrival after the start", series: [
      { label: "gap", colour: "run-0", values: gaps, width: 1, area: 0.12 }, { label: "chunk", colour: "run-0", kind: "points", values: gaps, size: 4, alpha: 0.8 }] });
  } else host.append(el("p", { class: "hint" }, "Arrivals of its tokens are not in this page: they are kept for an even sample of the requests and for the slowest."));
}

function phaseRows(run, row, length) {
  const parts = run.phases(row);
  if (parts.length === 0) return el("p", { class: "hint" }, "These files do not say how its time was spent; a run with --export-http-trace does.");
  const end = Math.max(length, ...parts.map((part) => part.to));
  const share = (ms) => `${(Math.max(0, ms) / end) * 100}%`;
  const cells = parts.flatMap(({ phase, from, to }) => [
    el("span", { title: phase.text }, swatch(phase.name), phase.name),
    el("span", { class: "n" }, `${duration(to - from)}`),
    el("div", { class: "track", title: `${phase.text}: from ${duration(from)} to ${duration(to)}` }, el("i", { style: { left: share(from), width: share(to - from), background: `var(--${phase.name})` } }))]);
  const ttft = run.at("ttft", row);
  if (Number.isFinite(ttft)) {
    cells.push(el("span", { title: "from the first token to the end" }, swatch("ink"), "tokens"), el("span", { class: "n" }, duration(length - ttft)),
      el("div", { class: "track", title: `first token after ${duration(ttft)}` }, el("i", { style: { left: share(ttft), width: share(length - ttft), background: "var(--ink)", opacity: 0.75 } })));
  }
  return el("div", { class: "phases" }, cells);
}

function facts(run, row, known) {
  const rank = (name) => {
    const values = sorted(run, name, even(run, rowsOf(run, false))), own = run.at(name, row);
    return values.length > 1 && Number.isFinite(own) ? `slower than ${number((above(values, own - 1e-9) / values.length) * 100)} % of the selection` : "";
  };
  const entry = (name, value, more) => value != null && value !== "" && value !== "–" && el("div", {}, el("dt", {}, name), el("dd", {}, value), more && el("dd", { class: "hint" }, more));
  const connection = run.at("connection", row), number_ = run.at("number", row), late = run.at("late", row);
  return el("dl", { class: "facts" },
    entry("Latency", duration(run.length(row)), rank("latency")),
    entry("Time to first token", duration(run.at("ttft", row)), rank("ttft")),
    entry("Inter-token latency", duration(run.at("itl", row)), rank("itl")),
    entry("Started", stamp(run.at("start", row)), Number.isFinite(late) ? `${duration(late)} after the schedule wanted it` : ""),
    entry("Tokens", Number.isFinite(run.at("isl", row)) || Number.isFinite(run.at("osl", row)) ? `${number(run.at("isl", row))} in, ${number(run.at("osl", row))} out` : ""),
    entry("HTTP status", Number.isFinite(run.at("status", row)) ? String(run.at("status", row)) : ""),
    entry("Connection", Number.isFinite(connection) ? `${connection + 1}, ${run.is(FLAG.reused, row) ? "reused" : "new"}` : "", Number.isFinite(number_) ? `request ${number_} on it` : ""),
    entry("Sent again", run.is(FLAG.retried, row) ? "yes: an earlier attempt failed" : ""),
    entry("First byte of the answer", Number.isFinite(run.at("first_byte", row)) ? `${duration(run.at("first_byte", row))} after the start` : ""),
    entry("Request id", known?.id ? el("code", {}, known.id) : ""));
}
