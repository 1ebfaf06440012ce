"use strict";
// Charts on a common footing: colours of the page, width of their place, shared cursor and zoom along time.

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const LIVE = new Map();
const observer = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const chart = LIVE.get(entry.target);
    const width = Math.floor(entry.contentRect.width);
    if (chart && width > 0 && chart.width !== width) chart.setSize({ width, height: chart.height });
  }
});

// Forgets the charts of elements that left the page.
function sweep() {
  for (const [host, chart] of LIVE) {
    if (!host.isConnected) {
      observer.unobserve(host);
      chart.destroy();
      LIVE.delete(host);
    }
  }
}

function axis(format, side, label) {
  return {
    side, label, font: FONT, labelFont: FONT, labelSize: label ? 18 : 0, labelGap: 2, gap: 4,
    size: side === 2 ? 30 : (self, values) => 14 + 7 * Math.max(2, ...(values ?? []).map((text) => (text ?? "").length)),
    stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
    values: (self, splits) => splits.map((split) => (split == null ? "" : short(format(split, 5)))),
  };
}

const fill = (variable, alpha) => {
  const hex = colour(variable);
  return /^#[0-9a-f]{6}$/i.test(hex) ? hex + Math.round(alpha * 255).toString(16).padStart(2, "0") : hex;
};

// series: {label, values, colour, kind: line | points | bars | steps, format, area}
function chart(host, { title, x, series, height = 230, xFormat, yFormat, xLabel, yLabel, xLog, yMin = 0, yMax, yRange, time, range, draw }) {
  host.replaceChildren();
  host.classList.add("chart");
  const caption = el("figcaption", {}, title);
  const place = el("div", { class: "plot" });
  host.append(caption, place);
  const values = series.flatMap((one) => [one.values]);
  if (x.length === 0 || !values.some((list) => list.some((value) => value != null && Number.isFinite(value)))) {
    place.append(el("p", { class: "empty" }, "No request of this selection has a value here."));
    return null;
  }
  const options = {
    width: Math.max(200, Math.floor(place.getBoundingClientRect().width) || 600),
    height,
    legend: { live: true, markers: { width: 0, fill: (self, at) => colour(series[at - 1].colour) } },
    cursor: { drag: { x: Boolean(time), y: false, setScale: false }, points: { size: 6 }, sync: time ? { key: "time" } : undefined },
    scales: {
      x: { time: false, distr: xLog ? 3 : 1, range: range ? () => range : undefined },
      y: yRange ? { range: () => yRange } : { range: (self, low, high) => [Math.min(yMin, low ?? 0), yMax ?? ((high ?? 1) > 0 ? (high ?? 1) * 1.06 : 1)] },
    },
    axes: [axis(xFormat, 2, xLabel), axis(yFormat, 3, yLabel)],
    series: [
      { label: time ? "time" : "at", value: (self, value) => (value == null ? "–" : xFormat(value)) },
      ...series.map((one) => {
        const stroke = colour(one.colour);
        const common = { label: one.label, stroke, value: (self, value) => (value == null ? "–" : (one.format ?? yFormat)(value)), spanGaps: true };
        if (one.kind === "points") return { ...common, paths: () => null, points: { show: true, size: one.size ?? 3, width: 0, fill: fill(one.colour, one.alpha ?? 0.45) } };
        if (one.kind === "bars") return { ...common, width: 1, fill: fill(one.colour, 0.35), paths: uPlot.paths.bars({ size: [1, 100], align: 0 }), points: { show: false } };
        if (one.kind === "steps") return { ...common, width: 1.6, fill: fill(one.colour, one.area ?? 0), paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } };
        return { ...common, width: one.width ?? 1.8, dash: one.dash, fill: one.area ? fill(one.colour, one.area) : undefined, points: { show: false } };
      }),
    ],
    hooks: {
      setSelect: time ? [(self) => {
        if (self.select.width < 4) return;
        const from = self.posToVal(self.select.left, "x"), to = self.posToVal(self.select.left + self.select.width, "x");
        self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        zoom([Math.max(0, from), to]);
      }] : [],
      draw: draw ? [draw] : [],
    },
  };
  const plot = new uPlot(options, [x, ...values], place);
  plot.root.querySelector(".u-over").setAttribute("aria-hidden", "true");
  if (time) plot.over.addEventListener("dblclick", () => zoom(null));
  LIVE.set(place, plot);
  observer.observe(place);
  return plot;
}

const figure = (wide) => el("figure", { class: wide ? "wide" : "" });

// Bounds of `bins` classes from low to high, of equal ratio with `log`.
function bounds(low, high, bins, log) {
  return Float64Array.from({ length: bins + 1 }, (_, at) =>
    log ? low * (high / low) ** (at / bins) : low + ((high - low) * at) / bins);
}

// Largest of many, without the limits of spread arguments.
const most = (values) => values.reduce((a, b) => (b > a ? b : a), -Infinity);
const least = (values) => values.reduce((a, b) => (b < a ? b : a), Infinity);
