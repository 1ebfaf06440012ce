"use strict";
// Distributions, and everything along the time of the run: latencies, load, the server's own metrics.

const METRICS = [
  ["ttft", "Time to first token"],
  ["itl", "Inter-token latency"],
  ["gaps", "Inter-chunk latency"],
  ["latency", "Request latency"],
  ["late", "Late against schedule"],
  ["osl", "Output tokens"],
];
const has = (run, metric) => (metric === "gaps" ? (run.gaps?.[2].length ?? 0) > 0 : run.columns[metric] != null);
const formatOf = (metric) => (metric === "osl" ? number : duration);

// How long a failed request took says nothing of the others; shown alone, it does.
const ended = (run, rows) => (state.filter.outcome === "failed" ? rows : rows.filter((row) => !run.is(FLAG.failed, row)));

// Ascending values with their cumulative weights: one for each request, or the counted bins of the gaps.
function weighted(run, metric) {
  if (metric !== "gaps") {
    const values = sorted(run, metric, ended(run, even(run, rowsOf(run))));
    return { values, upTo: (limit) => above(values, limit), total: values.length };
  }
  const [low, perDecade, counts] = run.gaps;
  const values = new Float64Array(counts.length), sums = new Float64Array(counts.length + 1);
  counts.forEach((n, bin) => {
    values[bin] = low * 10 ** ((bin + 0.5) / perDecade);
    sums[bin + 1] = sums[bin] + n;
  });
  return { values, upTo: (limit) => sums[above(values, limit)], total: sums[counts.length], counts };
}

function distributions(body) {
  const known = METRICS.filter(([metric]) => RUNS.some((run) => has(run, metric)));
  if (!known.some(([metric]) => metric === state.metric)) state.metric = known[0]?.[0] ?? "latency";
  const metric = state.metric, format = formatOf(metric);
  body.append(el("div", { class: "tools" },
    choice("Metric", known, metric, (value) => { state.metric = value; redraw("distributions"); }),
    choice("Scale", [["auto", "auto"], ["linear", "linear"], ["log", "log"]], state.scale, (value) => { state.scale = value; redraw("distributions"); })));
  const of = RUNS.map((run) => ({ run, ...(has(run, metric) ? weighted(run, metric) : { total: 0 }) })).filter((one) => one.total > 0);
  const cumulative = figure(), classes = figure();
  body.append(el("div", { class: "grid" }, cumulative, classes));
  const firsts = of.map(({ values, counts }) => (counts ? values[counts.findIndex((n) => n > 0)] : values[0]));
  const low = least(firsts), high = most(of.map(({ values }) => values[values.length - 1]));
  const positive = least(of.map(({ values, counts }, at) => (counts ? firsts[at] : values[above(values, 0)] ?? high)));
  const log = state.scale === "log" || (state.scale === "auto" && positive > 0 && high / positive > 30);
  const from = log ? Math.max(positive * 0.98, high / 1e7) : Math.min(low, high * 0.9), to = high > from ? high * 1.0001 : from + Math.max(1e-3, Math.abs(from) * 0.1);
  const grid = of.length ? bounds(from, to, 400, log) : [];
  const bins = of.length ? bounds(from, to, 60, log) : [];
  const label = ({ run }) => (RUNS.length > 1 ? run.name : METRICS.find(([name]) => name === metric)?.[1] ?? metric);
  const percent = (value, digits) => `${number(value, digits)} %`;
  chart(cumulative, {
    title: "Share of requests at or below (CDF)", x: grid, xFormat: format, yFormat: percent, xLog: log, yMax: 100,
    series: of.map((one) => ({ label: label(one), colour: runColour(one.run.number), values: Array.from(grid, (limit) => (one.upTo(limit) / one.total) * 100), area: RUNS.length > 1 ? 0 : 0.08 })),
  });
  chart(classes, {
    title: "Share of requests per class (histogram)", x: bins.slice(0, -1), xFormat: format, yFormat: percent, xLog: log,
    series: of.map((one) => ({
      label: label(one), colour: runColour(one.run.number), kind: "steps", area: RUNS.length > 1 ? 0.1 : 0.3,
      values: Array.from(bins.slice(0, -1), (bound, at) => ((one.upTo(bins[at + 1]) - (at ? one.upTo(bound) : 0)) / one.total) * 100),
    })),
  });
  const shares = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999];
  const at = (one, q) => (one.counts ? one.values[Math.max(0, firstReaching(one, q))] : quantile(one.values, q));
  body.append(table(["Of the selection", "Values", ...shares.map((q) => `p${+(q * 100).toFixed(2)}`), "max"], of.map((one) => [
    el("span", {}, RUNS.length > 1 && swatch(runColour(one.run.number)), label(one)), count(one.total),
    ...shares.map((q) => `${format(at(one, q))}${one.total < wanted(q) && q > 0.9 ? " †" : ""}`), format(one.values[one.values.length - 1])])));
  if (metric === "gaps") body.append(el("p", { class: "hint" }, "Counted over all chunks of all requests of the measurement in classes 4 % wide; filters do not apply to it."));
}

function firstReaching({ values, upTo, total }, q) {
  return values.findIndex((value) => upTo(value) >= q * total);
}

// Percentiles of a column over slices of time.
function slices(run, rows, name, bins, span) {
  const groups = Array.from({ length: bins }, () => []);
  for (const row of rows) {
    const value = run.at(name, row);
    if (Number.isFinite(value)) groups[Math.min(bins - 1, Math.floor((run.at("start", row) / span) * bins))].push(value);
  }
  return groups.map((group) => Float64Array.from(group).sort());
}

const SCATTER = 15_000;
const stamp = (ms, digits) => (Math.abs(ms) < 1000 && ms !== 0 ? `${number(ms, digits)} ms` : ms >= 600_000 ? `${Math.floor(ms / 60_000)} min ${number((ms % 60_000) / 1000, digits)} s` : `${number(ms / 1000, digits)} s`);

function overTime(run, body) {
  const rows = even(run, rowsOf(run, false));
  const grid = el("div", { class: "grid" });
  body.append(grid);
  const span = Math.max(run.span, 1e-3), range = state.zoom ?? [0, span];
  const bins = Math.max(8, Math.min(90, Math.floor(rows.length / 12)));
  const middle = Array.from({ length: bins }, (_, bin) => ((bin + 0.5) * span) / bins);
  for (const [name, title] of [["ttft", "Time to first token, by start"], ["itl", "Inter-token latency, by start"], ["latency", "Request latency, by start"]]) {
    if (!run.columns[name]) continue;
    const seen = ended(run, rows).filter((row) => Number.isFinite(run.at(name, row)));
    const lost = name === "latency" && state.filter.outcome !== "failed" ? rows.filter((row) => run.is(FLAG.failed, row)) : [];
    const step = Math.ceil(seen.length / SCATTER), shown = seen.filter((_, at) => at % step === 0);
    const groups = slices(run, seen, name, bins, span);
    const [x, points, p50, p95, failures] = uPlot.join([
      [shown.map((row) => run.at("start", row)), shown.map((row) => run.at(name, row))],
      [middle, groups.map((group) => (group.length ? quantile(group, 0.5) : null)), groups.map((group) => (group.length > 4 ? quantile(group, 0.95) : null))],
      [lost.map((row) => run.at("start", row)), lost.map((row) => run.length(row))],
    ]);
    const host = figure();
    grid.append(host);
    chart(host, {
      title: step > 1 ? `${title} (every ${step}th point)` : title, x, time: true, range, xFormat: stamp, yFormat: duration,
      series: [
        { label: "request", colour: "run-0", kind: "points", values: points, size: shown.length > 4000 ? 2.2 : 3.6, alpha: shown.length > 4000 ? 0.3 : 0.5 },
        { label: "p50", colour: "run-2", values: p50, width: 2 },
        { label: "p95", colour: "run-1", values: p95, width: 2 },
        ...(lost.length ? [{ label: "failed", colour: "bad", kind: "points", values: failures, size: 5, alpha: 0.9 }] : []),
      ],
    });
  }
  load(run, rows, grid, span, range);
}

// Requests in flight, completions and tokens over time. Tokens are spread evenly between the first and the last.
function load(run, rows, grid, span, range) {
  const bins = Math.max(10, Math.min(140, Math.floor(rows.length / 10))), width = span / bins;
  const flight = new Float64Array(bins), done = new Float64Array(bins), failed = new Float64Array(bins), tokens = new Float64Array(bins);
  const spread = (into, from, to, amount) => {
    const a = Math.max(0, Math.min(span, from)) / width, b = Math.max(0, Math.min(span, to)) / width;
    if (!(b > a)) { into[Math.min(bins - 1, Math.floor(a))] += amount; return; }
    for (let bin = Math.floor(a); bin < Math.min(bins, Math.ceil(b)); bin++) into[bin] += (amount * (Math.min(b, bin + 1) - Math.max(a, bin))) / (b - a);
  };
  for (const row of rows) {
    const start = run.at("start", row), end = start + run.length(row);
    spread(flight, start, end, ((end - start) / width) * run.stride);
    (run.is(FLAG.failed, row) ? failed : done)[Math.max(0, Math.min(bins - 1, Math.floor(end / width)))] += (run.stride * 1000) / width;
    const osl = run.at("osl", row), ttft = run.at("ttft", row);
    if (osl > 0) spread(tokens, Number.isFinite(ttft) ? start + ttft : end, end, (osl * run.stride * 1000) / width);
  }
  const x = Array.from({ length: bins }, (_, bin) => bin * width);
  const common = { x, time: true, range, xFormat: stamp, yFormat: number };
  const [inFlight, rate, output] = [figure(), figure(), figure()];
  grid.append(inFlight, rate, output);
  const estimated = run.stride > 1 ? ", estimated from the sample" : "";
  chart(inFlight, { ...common, title: `Requests in flight${estimated}`, series: [{ label: "in flight", colour: "run-7", kind: "steps", area: 0.18, values: flight }] });
  chart(rate, { ...common, title: `Requests ended per second${estimated}`, series: [
    { label: "succeeded", colour: "run-2", kind: "steps", area: 0.15, values: done },
    ...(failed.some((n) => n > 0) ? [{ label: "failed", colour: "run-5", kind: "steps", area: 0.3, values: failed }] : [])] });
  chart(output, { ...common, title: `Output tokens per second${estimated}`, series: [{ label: "tokens/s", colour: "run-3", kind: "steps", area: 0.15, values: tokens }] });
}

const TELLING = [/requests?_(running|waiting)|num_(running|queue)_reqs|inflight|queued|deferred|processing/, /cache_usage|token_usage|kv_cache_util/, /generation_tokens(?!.*hist)/, /time_to_first_token|ttft/, /inter_token|time_per_output|tpot/, /prompt_tokens(?!.*cached)/, /preempt/];
const SHOWN_AT_FIRST = 6;
const LINES_OF_CHART = 8;
const KIND_TEXT = { gauge: "", counter: ", per second", mean: ", mean of each interval" };

function serverMetrics(run, body) {
  const names = [...new Set(run.server.map((line) => line.name))];
  const rank = (name) => { const at = TELLING.findIndex((pattern) => pattern.test(name)); return at < 0 ? TELLING.length : at; };
  state.server ??= new Set([...names].sort((a, b) => rank(a) - rank(b)).filter((name) => rank(name) < TELLING.length).slice(0, SHOWN_AT_FIRST));
  if (state.server.size === 0 && names.length) state.server.add(names[0]);
  const grid = el("div", { class: "grid" });
  const range = state.zoom ?? [0, Math.max(run.span, 1e-3)];
  body.append(grid, fold(`Choose metrics (${names.filter((name) => state.server.has(name)).length} of ${names.length} shown)`, el("div", { class: "columns picker" }, names.map((name) =>
    el("label", {}, el("input", { type: "checkbox", checked: state.server.has(name), onchange: (event) => {
      if (event.target.checked) state.server.add(name); else state.server.delete(name);
      redraw("server");
    } }), ` ${name}`)))));
  for (const name of names.filter((one) => state.server.has(one))) {
    const all = run.server.filter((line) => line.name === name);
    const lines = all.slice(0, LINES_OF_CHART);
    const [x, ...values] = uPlot.join(lines.map((line) => [Array.from(line.t), Array.from(line.v)]));
    const common = (part) => all.every((line) => line.labels.split(", ").includes(part) || line.endpoint === part);
    const label = (line) => [...line.labels.split(", "), line.endpoint].filter((part) => part && !common(part)).join(", ") || "value";
    const host = figure();
    grid.append(host);
    const more = all.length > lines.length ? `, first ${lines.length} of ${all.length} series` : "";
    chart(host, {
      title: `${name}${KIND_TEXT[lines[0].kind]}${lines[0].unit ? ` (${lines[0].unit})` : ""}${more}`, height: 180, x, time: true, range, xFormat: stamp, yFormat: number,
      series: lines.map((line, at) => ({ label: label(line), colour: runColour(at), values: values[at], kind: line.kind === "gauge" ? "steps" : "line", area: lines.length === 1 ? 0.12 : 0 })),
    });
  }
}
