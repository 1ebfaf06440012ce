"use strict";
// Verdict and notes, key numbers, several runs side by side, configuration.

const COLUMN_OF = { time_to_first_token: "ttft", inter_token_latency: "itl", request_latency: "latency" };
const SHARE = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 };

// Successful requests of the measurement in the even sample.
function measured(run) {
  const rows = [];
  for (let row = 0; row < run.rows; row++) if (!run.is(FLAG.warmup | FLAG.failed | FLAG.beyond, row)) rows.push(row);
  return rows;
}

// A latency over the whole run: {p50, p95, p99, count}, from the summary, else from the requests shown.
function latency(run, tag) {
  const metric = run.metrics.get(tag);
  if (metric?.p50 !== undefined) return metric;
  const values = sorted(run, COLUMN_OF[tag], measured(run));
  return { ...Object.fromEntries(Object.entries(SHARE).map(([name, q]) => [name, quantile(values, q)])), count: values.length };
}

function outcomes(run) {
  let failed = 0, all = 0, cancelled = 0;
  for (let row = 0; row < run.rows; row++) {
    if (run.is(FLAG.warmup | FLAG.beyond, row)) continue;
    all++;
    failed += run.is(FLAG.failed, row);
    cancelled += run.is(FLAG.cancelled, row);
  }
  const requests = run.facts.own.requests;
  if (requests?.succeeded !== undefined) {
    failed = (requests.failed ?? 0) + (requests.cancelled ?? 0);
    return { all: requests.succeeded + failed, failed, cancelled: requests.cancelled ?? 0 };
  }
  const written = run.facts.errors.reduce((sum, error) => sum + error.count, 0);
  const succeeded = run.figure("request_count");
  if (Number.isFinite(succeeded)) return { all: succeeded + written, failed: written, cancelled };
  return { all: all * run.stride, failed: failed * run.stride, cancelled: cancelled * run.stride };
}

const VERDICTS = { valid: "good", "too-few-samples": "warn", "under-delivered": "warn", contaminated: "warn", "client-bound": "bad" };

function summaryOf(run, body) {
  const { verdict, notes, run_info, start_time } = run.facts;
  const { all, failed } = outcomes(run);
  const words = verdict ? verdict.word.replaceAll("_", "-") : null;
  const badges = [
    words ? el("span", { class: `badge ${VERDICTS[words] ?? "warn"}` }, words) : el("span", { class: "badge" }, "no verdict in its files"),
    failed > 0
      ? el("span", { class: `badge ${failed / all > 0.01 ? "bad" : "warn"}` }, `${plural(failed, "request")} failed (${number((failed / all) * 100)} %)`)
      : all > 0 && el("span", { class: "badge good" }, "no request failed"),
  ];
  const models = (run.facts.configuration?.models?.items ?? []).map((model) => model?.name).filter(Boolean).join(", ");
  const sub = [models, start_time?.replace("T", " ").slice(0, 19), run_info?.benchmark_id && `id ${run_info.benchmark_id}`, run.path].filter(Boolean);
  const remarks = [...(verdict?.reasons ?? []).map((text) => [text, VERDICTS[words] ?? "warn"]), ...notes.map((text) => [text, ""])];
  if (run.stride > 1) remarks.push([`Charts show every ${run.stride}th of ${count(run.total)} requests, and the slowest and failed ones; key numbers count all.`, "good"]);
  body.append(el("div", { class: "summary" },
    el("div", {}, el("h1", {}, run.name), el("p", { class: "sub" }, sub.join(" · "))),
    el("div", { class: "key" }, badges),
    remarks.length > 0 && el("ul", { class: "notes", "aria-label": "Notes" }, remarks.map(([text, kind]) => el("li", { class: kind }, text)))));
}

function tile(name, value, unit, more) {
  return el("div", { class: "tile" }, el("div", { class: "name", title: name }, name),
    el("div", { class: "value" }, value, unit && el("small", {}, unit)), more && el("div", { class: "more" }, more));
}

function latencyTile(run, name, tag) {
  const metric = latency(run, tag);
  if (!Number.isFinite(metric.p50)) return null;
  const [value, unit] = duration(metric.p50).split(" ");
  const tail = (statistic) => {
    const few = (metric.count ?? Infinity) < wanted(SHARE[statistic]);
    return `${statistic} ${duration(metric[statistic])}${few ? " †" : ""}`;
  };
  return tile(name, value, `${unit} median`, [el("span", {}, tail("p95")), " · ", el("span", {}, tail("p99"))]);
}

function keyNumbers(run, body) {
  const { all, failed, cancelled } = outcomes(run);
  const seconds = run.figure("benchmark_duration");
  const rate = run.figure("request_throughput"), tokens = run.figure("output_token_throughput");
  const user = latency(run, "output_token_throughput_per_user");
  const flight = run.figure("effective_concurrency");
  body.append(el("div", { class: "tiles" },
    latencyTile(run, "Time to first token", "time_to_first_token"),
    latencyTile(run, "Inter-token latency", "inter_token_latency"),
    latencyTile(run, "Request latency", "request_latency"),
    Number.isFinite(tokens) && tile("Output throughput", number(tokens), "tokens/s", Number.isFinite(user.p50) && `${number(user.p50)} tokens/s per user, median`),
    Number.isFinite(rate) && tile("Request throughput", number(rate), "requests/s", Number.isFinite(flight) && `${number(flight)} in flight on average`),
    tile("Requests", count(all), "", `${plural(failed, "failure")}${cancelled ? `, ${count(cancelled)} cancelled` : ""}${Number.isFinite(seconds) ? ` in ${duration(seconds * 1000)}` : ""}`)));
  const few = ["time_to_first_token", "inter_token_latency", "request_latency"].some((tag) => (latency(run, tag).count ?? Infinity) < wanted(0.99));
  if (few) body.append(el("p", { class: "hint" }, `† fewer requests than this percentile wants (p95: ${wanted(0.95)}, p99: ${wanted(0.99)}); the next run may well give another figure.`));
  const { insights, errors } = run.facts;
  const marks = { good: "good", neutral: "", attention: "warn" };
  if (errors.length) {
    body.append(el("h3", {}, "Errors"), table(["What", "Code", "Requests"], errors.map((error) => [
      `${error.error_details.type ?? "error"}: ${error.error_details.message}`, error.error_details.code ?? "–", count(error.count)])));
  }
  if (insights.length) {
    body.append(fold(`What the traces say (${plural(insights.filter((one) => one.verdict === "attention").length, "finding")} worth a look)`, table(["Figure", "Value", "Verdict", "Meaning"], insights.map((one) => [
      one.title, `${number(one.figure)} ${one.unit}`, el("span", { class: `badge ${marks[one.verdict] ?? ""}` }, one.verdict),
      el("span", { class: "wrap" }, one.meaning, one.advice && el("div", { class: "hint" }, one.advice))]), { class: "insights" })));
  }
  if (run.facts.metrics.length) {
    const statistics = ["avg", "min", "p50", "p90", "p95", "p99", "max", "std", "count"];
    const rows = (metrics) => metrics.map((metric) => [el("span", { title: metric.doc }, metric.header), metric.unit, ...statistics.map((name) => (metric[name] == null ? "–" : number(metric[name])))]);
    body.append(fold(`All metrics (${run.facts.metrics.length})`, table(["Metric", "Unit", ...statistics], rows(run.facts.metrics))));
    if (run.facts.warmup_metrics.length) body.append(fold("Metrics of the warmup", table(["Metric", "Unit", ...statistics], rows(run.facts.warmup_metrics))));
  }
}

// Figures that can be an axis: tag, statistic, text, whether more is better.
const AXES = [
  ["output_token_throughput_per_user", "avg", "Output tokens/s per user", true],
  ["output_token_throughput", "avg", "Output tokens/s", true],
  ["request_throughput", "avg", "Requests/s", true],
  ["time_to_first_token", "p50", "Time to first token p50, ms", false],
  ["time_to_first_token", "p95", "Time to first token p95, ms", false],
  ["time_to_first_token", "p99", "Time to first token p99, ms", false],
  ["inter_token_latency", "p50", "Inter-token latency p50, ms", false],
  ["inter_token_latency", "p95", "Inter-token latency p95, ms", false],
  ["request_latency", "p50", "Request latency p50, ms", false],
  ["request_latency", "p95", "Request latency p95, ms", false],
  ["goodput", "avg", "Goodput, requests/s", true],
];

const axisValue = (run, [tag, statistic]) => (COLUMN_OF[tag] ? latency(run, tag)[statistic] ?? NaN : run.figure(tag, statistic));

// Runs that no other run beats on both axes.
function frontier(points, xAxis, yAxis) {
  const better = (a, b, axis) => (axis[3] ? a > b : a < b);
  return points.filter((one) => !points.some((other) =>
    (better(other.x, one.x, xAxis) && !better(one.y, other.y, yAxis)) || (better(other.y, one.y, yAxis) && !better(one.x, other.x, xAxis))));
}

function severalRuns(body) {
  const usable = AXES.filter((axis) => RUNS.filter((run) => Number.isFinite(axisValue(run, axis))).length > 1);
  const pick = (which, fallback) => usable.find((axis) => `${axis[0]} ${axis[1]}` === state[which]) ?? usable[Math.min(fallback, usable.length - 1)];
  const xAxis = pick("xAxis", 0), yAxis = pick("yAxis", 1);
  const chooser = (label, which, chosen) => el("label", { class: "hint" }, `${label} `, el("select", { onchange: (event) => { state[which] = event.target.value; redraw("runs"); } },
    usable.map((axis) => el("option", { value: `${axis[0]} ${axis[1]}`, selected: axis === chosen }, axis[2]))));
  if (usable.length > 1) {
    const points = RUNS.map((run) => ({ run, x: axisValue(run, xAxis), y: axisValue(run, yAxis) })).filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
    points.sort((a, b) => a.x - b.x);
    const best = frontier(points, xAxis, yAxis);
    const host = figure(true);
    body.append(el("div", { class: "tools" }, chooser("Across", "xAxis", xAxis), chooser("Up", "yAxis", yAxis)), host);
    const padded = (values) => { const low = least(values), high = most(values), pad = Math.max((high - low) * 0.14, high * 0.03, 1e-6); return [Math.max(0, low - pad), high + pad]; };
    chart(host, {
      title: `${yAxis[2]} against ${xAxis[2]}`, height: 330, x: points.map((point) => point.x), xFormat: number, yFormat: number,
      xLabel: `${xAxis[2]} (${xAxis[3] ? "more is better" : "less is better"})`, yLabel: yAxis[3] ? "more is better" : "less is better",
      range: padded(points.map((point) => point.x)), yRange: padded(points.map((point) => point.y)),
      series: [
        { label: "best trade-offs (Pareto)", colour: "accent", dash: [6, 5], values: points.map((point) => (best.includes(point) ? point.y : null)) },
        { label: "runs", colour: "accent", kind: "points", size: 1, alpha: 0, values: points.map((point) => point.y) },
      ],
      draw: (plot) => {
        const { ctx } = plot, ratio = devicePixelRatio;
        ctx.save();
        ctx.font = FONT.replace("12px", `${12 * ratio}px`);
        for (const { run, x, y } of points) {
          const left = plot.valToPos(x, "x", true), top = plot.valToPos(y, "y", true);
          ctx.beginPath();
          ctx.arc(left, top, (best.some((one) => one.run === run) ? 6 : 4.5) * ratio, 0, 7);
          ctx.fillStyle = colour(runColour(run.number));
          ctx.fill();
          ctx.fillStyle = colour("ink");
          const name = run.name.length > 32 ? `${run.name.slice(0, 31)}…` : run.name;
          const before = left + ctx.measureText(name).width + 12 * ratio > plot.bbox.left + plot.bbox.width;
          ctx.textAlign = before ? "right" : "left";
          ctx.fillText(name, left + (before ? -10 : 10) * ratio, top - 7 * ratio);
        }
        ctx.restore();
      },
    });
  }
  const figures = usable.length ? usable : AXES.slice(0, 2);
  body.append(table(["Run", "Failed", ...figures.map((axis) => axis[2])], RUNS.map((run) => {
    const { all, failed } = outcomes(run);
    return [el("span", {}, swatch(runColour(run.number)), run.name), `${number((failed / Math.max(1, all)) * 100)} %`, ...figures.map((axis) => number(axisValue(run, axis)))];
  })));
}

function configuration(run, body) {
  const { run_info, configuration, own, lines, start_time, end_time } = run.facts;
  if (run_info?.cli_command) body.append(el("h3", {}, "Command"), el("pre", {}, run_info.cli_command));
  const part = (title, value) => value && Object.keys(value).length > 0 && el("div", {}, el("h3", {}, title), tree(value));
  const { cli_command, ...identity } = run_info ?? {};
  const { notes, verdict, ...rest } = own;
  body.append(el("div", { class: "columns" },
    part("Configuration as run", configuration),
    el("div", {}, part("Identity", { ...identity, ...(start_time ? { start_time, end_time } : {}) }), part("Records", lines), part("What tokmeter notes of itself", { ...rest, ...(notes && !Array.isArray(notes) ? { notes } : {}) }))));
}
