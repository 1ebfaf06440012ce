"use strict";
// The embedded runs, and arithmetic on their columns. Every number of the charts is computed here.

const ARRAYS = { f32: Float32Array, f64: Float64Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };
const FLAG = { warmup: 1, failed: 2, cancelled: 4, reused: 8, beyond: 16, retried: 32 };

function unpack(type, text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new ARRAYS[type](bytes.buffer);
}

// A column with one value for each row; absent values are NaN for every type.
function column(packed, rows) {
  if (!packed) return null;
  const values = unpack(packed.t, packed.d);
  const float = packed.t[0] === "f";
  if (!packed.i && float) return values;
  const all = new (packed.t === "f64" ? Float64Array : Float32Array)(rows).fill(NaN);
  const absent = { u32: 0xffffffff, u16: 0xffff, u8: 0xff }[packed.t];
  const wide = packed.t === "u32" ? new Float64Array(rows).fill(NaN) : all;
  const index = packed.i ? unpack("u32", packed.i) : null;
  for (let i = 0; i < values.length; i++) if (float || values[i] !== absent) wide[index ? index[i] : i] = values[i];
  return wide;
}

class Run {
  constructor(data, number) {
    this.number = number;
    this.name = data.name;
    this.path = data.path;
    this.facts = data.facts;
    this.metrics = new Map(data.facts.metrics.map((metric) => [metric.tag, metric]));
    const requests = data.requests;
    this.rows = requests?.kept ?? 0;
    this.total = requests?.total ?? 0;
    this.stride = requests?.stride ?? 1;
    this.errors = requests?.errors ?? [];
    this.origin = Number(requests?.origin_ns ?? 0) / 1e6;
    this.columns = Object.fromEntries((requests?.columns ?? []).map(([name, packed]) => [name, column(packed, this.rows)]));
    this.details = new Map((requests?.details ?? []).map(([row, id, tokens]) => [row, { id, tokens }]));
    this.gaps = requests?.gaps ?? null;
    this.server = data.server.map((line) => ({ ...line, t: unpack("f64", line.t), v: unpack("f32", line.v) }));
    this.span = 0;
    for (let row = 0; row < this.rows; row++) this.span = Math.max(this.span, this.at("start", row) + this.length(row));
  }

  at(name, row) {
    const values = this.columns[name];
    return values ? values[row] : NaN;
  }

  // From its start to its end, ms.
  length(row) {
    const end = this.at("end", row);
    return Number.isFinite(end) ? end : this.at("latency", row) || 0;
  }

  is(flag, row) {
    return (this.columns.flags[row] & flag) !== 0;
  }

  error(row) {
    const number = this.at("error", row);
    return Number.isNaN(number) ? "" : this.errors[number] ?? "other errors";
  }

  tokens(row) {
    const detail = this.details.get(row);
    return detail?.tokens ? unpack("f32", detail.tokens) : new Float32Array(0);
  }

  // The phases of a request that have a length: name, start and end in ms after its start.
  phases(row) {
    const found = [];
    for (const phase of PHASES) {
      const from = this.at(phase.from, row), to = this.at(phase.to, row);
      if (to > from) found.push({ phase, from, to });
    }
    return found;
  }

  // A figure of the summary, such as ("time_to_first_token", "p99"); NaN when it is not there.
  figure(tag, statistic = "avg") {
    return this.metrics.get(tag)?.[statistic] ?? NaN;
  }
}

const PHASES = [
  { name: "blocked", text: "waiting for a connection", from: "pool_start", to: "pool_end" },
  { name: "dns", text: "resolving the name", from: "dns_start", to: "dns_end" },
  { name: "tcp", text: "TCP handshake", from: "tcp_start", to: "tcp_end" },
  { name: "tls", text: "TLS handshake", from: "tls_start", to: "tls_end" },
  { name: "sending", text: "writing the request", from: "send_start", to: "send_end" },
  { name: "waiting", text: "last byte sent to first body byte", from: "send_end", to: "body_start" },
  { name: "receiving", text: "first to last body byte", from: "body_start", to: "body_end" },
];

const EMBEDDED = JSON.parse(document.getElementById("data").textContent);
const RUNS = EMBEDDED.runs.map((data, number) => new Run(data, number));

// Values in ascending order, without absent ones.
function sorted(run, name, rows) {
  const values = run.columns[name];
  if (!values) return new Float64Array(0);
  const out = new Float64Array(rows.length);
  let n = 0;
  for (const row of rows) if (Number.isFinite(values[row])) out[n++] = values[row];
  return out.subarray(0, n).sort();
}

// numpy's "linear" percentile of ascending values.
function quantile(values, q) {
  if (values.length === 0) return NaN;
  const place = q * (values.length - 1), low = Math.floor(place), rest = place - low;
  return rest === 0 ? values[low] : values[low] * (1 - rest) + values[low + 1] * rest;
}

// Position of the first of ascending values that is greater than `limit`.
function above(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1; else high = middle;
  }
  return low;
}

// Samples that a percentile wants before its error is small against its distance to 100 % (p99: 660).
const wanted = (q) => Math.ceil(6.6 / (1 - q));

function number(value, digits = 3) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.max(0, Math.min(digits, digits - 1 - Math.floor(Math.log10(size)))));
}

function duration(ms, digits = 3) {
  if (ms == null || !Number.isFinite(ms)) return "–";
  const size = Math.abs(ms);
  if (size >= 120_000) return `${number(ms / 60_000, digits)} min`;
  if (size >= 10_000) return `${number(ms / 1000, digits)} s`;
  if (size > 0 && size < 0.1) return `${number(ms * 1000, digits)} µs`;
  return `${number(ms, digits)} ms`;
}

// The same text without zeros at the end of a fraction, for axes.
const short = (text) => text.replace(/\.0+(?=\D|$)|(\.\d*?[1-9])0+(?=\D|$)/, "$1");

const count = (value) => Math.round(value).toLocaleString("en-US");
const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
