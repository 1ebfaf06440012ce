"""check_server_metrics.py DIR [--prefix P] [--boundary-scrape]: the server-metrics files of a run against each other,
read by pyarrow and DuckDB, the CSV by Python's csv, the raw scrapes by json: every file must tell the same story as the
summary JSON.

--boundary-scrape: AIPerf selects scrapes for the JSON by the instant they were sent and for the Parquet by the instant
they were answered, so its Parquet may start one scrape earlier; a total may then be counted from the first row.
"""
import argparse
import json
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet

from run_files import csv_blocks, read_jsonl
from tally import Tally, relative_difference, run

FIXED_BEFORE = [("endpoint_url", "string"), ("metric_name", "string"), ("metric_type", "string"), ("unit", "string"),
                ("description", "string"), ("timestamp_ns", "int64")]
FIXED_AFTER = [("value", "double"), ("sum", "double"), ("count", "double"), ("bucket_le", "string"),
               ("bucket_count", "double")]
FILE_METADATA = ("schema_version", "version", "benchmark_id", "export_timestamp_utc", "exporter", "time_filter_start_ns",
                 "time_filter_end_ns", "profiling_duration_ns", "input_config", "endpoint_urls", "label_columns",
                 "metric_count", "metric_type_counts")
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
STATISTICS = {
    "gauge": ("avg", "min", "max", "std") + tuple(f"p{p}" for p in PERCENTILES),
    "counter": ("total", "rate", "rate_avg", "rate_min", "rate_max", "rate_std"),
    "histogram": ("count", "sum", "avg", "count_rate", "sum_rate") + tuple(f"p{p}_estimate" for p in PERCENTILES),
    "summary": ("count", "sum", "avg", "count_rate", "sum_rate"),
}
STATISTICS["unknown"] = STATISTICS["gauge"]


def close(a, b):
    return relative_difference(a, b) <= 1e-9


def series_key(endpoint, metric, labels):
    return endpoint, metric, tuple(sorted((labels or {}).items()))


def json_series(data):
    """(key, type, series object) of everything in the summary JSON that has samples over time."""
    for metric, family in data["metrics"].items():
        for series in family["series"]:
            yield series_key(series["endpoint_url"], metric, series.get("labels")), family["type"], series


def parquet_series(path):
    """Rows of each series in time order, through DuckDB; a label that is absent is null."""
    connection = duckdb.connect()
    cursor = connection.execute("SELECT * FROM read_parquet(?) ORDER BY timestamp_ns", [str(path)])
    names = [column[0] for column in cursor.description]
    labels = [name for name in names if name not in {n for n, _ in FIXED_BEFORE + FIXED_AFTER}]
    series = defaultdict(list)
    for values in cursor.fetchall():
        row = dict(zip(names, values))
        present = {name: row[name] for name in labels if row[name] is not None}
        series[series_key(row["endpoint_url"], row["metric_name"], present)].append(row)
    return series


def check_layout(tally, path, data):
    """Columns, types and file metadata as pyarrow sees them; the row count as DuckDB does."""
    faults = []
    table = pyarrow.parquet.read_table(path)
    columns = [(field.name, str(field.type)) for field in table.schema]
    labels = columns[len(FIXED_BEFORE):-len(FIXED_AFTER)]
    if columns[:len(FIXED_BEFORE)] != FIXED_BEFORE or columns[-len(FIXED_AFTER):] != FIXED_AFTER:
        faults.append(f"columns are {columns}")
    if labels != sorted(labels) or any(kind != "string" for _, kind in labels):
        faults.append(f"label columns are {labels}")
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    faults += [f"file metadata lacks aiperf.{key}" for key in FILE_METADATA if f"aiperf.{key}" not in metadata]
    if not faults:
        if json.loads(metadata["aiperf.label_columns"]) != [name for name, _ in labels]:
            faults.append("aiperf.label_columns names other columns than there are")
        if metadata["aiperf.benchmark_id"] != data["benchmark_id"]:
            faults.append("benchmark_id is not the summary's")
        first, last = (int(metadata[f"aiperf.time_filter_{edge}_ns"]) for edge in ("start", "end"))
        stamps = table["timestamp_ns"].to_numpy()
        if stamps.min() < first or stamps.max() > last:
            faults.append(f"rows from {stamps.min()} to {stamps.max()} outside of {first} to {last}")
    rows = duckdb.connect().execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()[0]
    if rows != table.num_rows or not rows:
        faults.append(f"DuckDB counts {rows} rows, pyarrow {table.num_rows}")
    tally.faults("parquet: layout", faults, f"{rows} rows, {len(labels)} label columns")


def gauge_statistics(values):
    v = np.array(values, dtype=float)
    result = {"avg": v.mean(), "min": v.min(), "max": v.max(), "std": v.std(ddof=1) if len(v) > 1 else 0.0}
    return result | {f"p{p}": np.percentile(v, p) for p in PERCENTILES}


def gauge_fault(stats, values):
    """The JSON takes scrapes started in the phase, the Parquet those answered in it: they differ by one at each edge."""
    selections = [values, values[1:], values[:-1], values[1:-1]]
    noise = 1e-12 * max(abs(value) for value in values)  # of the std of large values that do not change
    for chosen in selections:
        if chosen and all(close(stats[name], value) or (name == "std" and abs(stats[name] - value) <= noise)
                          for name, value in gauge_statistics(chosen).items()):
            return None
    return f"statistics {stats} follow from no selection of {values[:12]}"


def check_parquet_against_json(tally, series, data, boundary_scrape):
    faults, compared = [], defaultdict(int)
    for key, kind, summary in json_series(data):
        rows = series.pop(key, None)
        if rows is None:
            faults.append(f"{key} is not in the Parquet file")
            continue
        stats, last = summary["stats"], rows[-1]
        compared[kind] += 1
        if {row["metric_type"] for row in rows} != {kind}:
            faults.append(f"{key} is {last['metric_type']} there, {kind} in JSON")
        elif kind == "counter":
            from_first_row = boundary_scrape and close(last["value"] - rows[0]["value"], stats["total"])
            ends_right = close(last["value"], stats["total"]) or from_first_row
            if any(row["value"] is None or row["value"] < 0 for row in rows) or not ends_right:
                faults.append(f"{key} ends at {last['value']}, total is {stats['total']}")
        elif kind == "summary":
            if not (close(last["count"], stats["count"]) and close(last["sum"], stats.get("sum", 0.0))):
                faults.append(f"{key} ends at {last['count']} / {last['sum']}, JSON has {stats}")
            if any(row["value"] is not None or row["bucket_le"] is not None for row in rows):
                faults.append(f"{key} has a value or a bucket")
        elif kind == "histogram":
            final = [row for row in rows if row["timestamp_ns"] == last["timestamp_ns"]]
            buckets = {row["bucket_le"]: row["bucket_count"] for row in final}
            if any(row["value"] is not None for row in rows):
                faults.append(f"{key} has a value")
            grown = {name: last[name] - (rows[0][name] if boundary_scrape else 0) for name in ("count", "sum")}
            same = close(last["count"], stats["count"]) and close(last["sum"], stats.get("sum", 0.0))
            if not same and not (close(grown["count"], stats["count"]) and close(grown["sum"], stats.get("sum", 0.0))):
                faults.append(f"{key} ends at {last['count']} / {last['sum']}, JSON has {stats}")
            if "buckets" in summary and same and buckets != summary["buckets"]:
                faults.append(f"{key} ends with buckets {buckets}, JSON has {summary['buckets']}")
            if buckets.get("+Inf") != last["count"]:
                faults.append(f"{key}: +Inf holds {buckets.get('+Inf')} of {last['count']}")
        else:
            values = [row["value"] for row in rows]
            if any(value is None for value in values):
                faults.append(f"{key} has a row without a value")
            elif (fault := gauge_fault(stats, values)):
                faults.append(f"{key} {fault}")
    faults += [f"{key} is in the Parquet file only" for key in series]
    tally.faults("parquet: last rows equal JSON", faults, ", ".join(f"{n} {kind}" for kind, n in sorted(compared.items())))


def check_json(tally, data, parquet):
    """What must hold between the numbers of one series. Rates of one endpoint are over one and the same time; only a
    series that appeared in the middle may count from its own first scrape."""
    faults, spans = [], defaultdict(dict)
    own = {key: (rows[-1]["timestamp_ns"] - rows[0]["timestamp_ns"]) / 1e9 for key, rows in parquet.items()}
    for key, kind, series in json_series(data):
        stats = series["stats"]
        pieces = series.get("timeslices", [])
        seconds = [(piece["end_ns"] - piece["start_ns"]) / 1e9 for piece in pieces]
        if kind == "counter":
            if stats["total"] < 0:
                faults.append(f"{key} has a negative total")
            if stats["rate"] > 0:
                spans[key[0]][key] = stats["total"] / stats["rate"]
            rates = [piece["rate"] for piece in pieces if piece.get("is_complete", True)]
            for piece, length in zip(pieces, seconds):
                if not close(piece["rate"] * length, piece["total"]):
                    faults.append(f"{key}: a slice's rate {piece['rate']} is not its total over its length")
            if len(rates) > 1:
                wanted = {"rate_avg": np.mean(rates), "rate_min": min(rates), "rate_max": max(rates), "rate_std": np.std(rates, ddof=1)}
                faults += [f"{key}.{name} is {stats.get(name)}, slices give {value}" for name, value in wanted.items()
                           if not close(stats.get(name, np.nan), value)]
        elif kind in ("histogram", "summary"):
            if stats["count"] == 0:
                continue
            spans[key[0]][key] = stats["count"] / stats["count_rate"]
            if not close(stats["avg"], stats["sum"] / stats["count"]):
                faults.append(f"{key}: avg is not sum / count")
            estimates = [stats[f"p{p}_estimate"] for p in PERCENTILES if f"p{p}_estimate" in stats]
            wanted = len(PERCENTILES) if kind == "histogram" else 0
            if estimates != sorted(estimates) or (len(estimates) != wanted and stats["sum"] >= 0):
                faults.append(f"{key}: percentile estimates {estimates}")
            if "buckets" in series:
                counts = [series["buckets"][le] for le in sorted(series["buckets"], key=float)]
                if counts != sorted(counts) or counts[-1] != stats["count"]:
                    faults.append(f"{key}: buckets {counts} do not grow to {stats['count']}")
        else:
            ordered = [stats["min"]] + [stats[f"p{p}"] for p in PERCENTILES] + [stats["max"]]
            if ordered != sorted(ordered):
                faults.append(f"{key}: {ordered} is out of order")
            if pieces and (min(p["min"] for p in pieces) < stats["min"] or max(p["max"] for p in pieces) > stats["max"]):
                faults.append(f"{key}: a slice leaves the range of the whole")
    for lengths in spans.values():
        whole = float(np.median(list(lengths.values())))
        faults += [f"{key}: a rate over {length} s, not {whole} s as the others" for key, length in lengths.items()
                   if not close(length, whole) and not close(length, own.get(key, whole))]
    tally.faults("JSON: statistics agree with each other", faults, f"{sum(1 for _ in json_series(data))} series")


def check_csv(tally, path, data):
    """Every cell of the five sections against the JSON."""
    text_blocks = [[row for row in block if not row[0].startswith("#")] for block in csv_blocks(path)]
    faults, kinds, cells = [], [], 0
    expected = defaultdict(list)
    for (endpoint, metric, labels), kind, series in json_series(data):
        shown = endpoint.split("://", 1)[-1].removesuffix("/metrics")
        kind = "info" if metric.endswith("_info") and kind == "gauge" else kind
        expected[kind].append((shown, metric, dict(labels), series["stats"]))
    for block in text_blocks:
        header, rows = block[0], block[1:]
        if header[:4] == ["Endpoint", "Metric", "Key", "Value"]:
            kinds.append("info")
            wanted = {(e, m, k, v) for e, m, labels, _ in expected["info"] for k, v in labels.items()}
            if {tuple(row[:4]) for row in rows} != wanted:
                faults.append("the info section differs from JSON's labels")
            continue
        kind = rows[0][1]
        kinds.append(kind)
        names = [name for name in STATISTICS[kind] if name in header]
        end = "Description"
        label_columns = header[4 + len(names):header.index(end)]
        wanted = {name for _, _, labels, _ in expected[kind] for name in labels}
        if header[:4] != ["Endpoint", "Type", "Metric", "Unit"] or sorted(label_columns) != sorted(wanted):
            faults.append(f"{kind}: header is {header}")
        if len(rows) != len(expected[kind]):
            faults.append(f"{kind}: {len(rows)} rows for {len(expected[kind])} series")
        for row in rows:
            cell = dict(zip(header, row))
            matching = [stats for shown, metric, labels, stats in expected[kind] if (shown, metric) == (cell["Endpoint"], cell["Metric"])
                        and all(labels.get(name, "") == cell[name] for name in label_columns)]
            if len(matching) != 1:
                faults.append(f"{kind}: row {row[:4]} matches {len(matching)} series")
                continue
            for name in names:
                value = matching[0].get(name)
                cells += 1
                wanted = "" if value is None else f"{value:.4f}"
                if cell[name] != wanted and not (name == "count" and value is not None and float(cell[name]) == value):
                    faults.append(f"{cell['Metric']}.{name} is '{cell[name]}', JSON has {value}")
    order = [kind for kind in ("gauge", "counter", "histogram", "unknown", "summary", "info") if expected[kind]]
    if kinds != order:
        faults.append(f"sections are {kinds}, wanted {order}")
    tally.faults("CSV equals JSON", faults, f"sections {', '.join(kinds)}, {cells} cells")


def scalars(sample):
    """A raw sample as one flat set of numbers that only grow when it is a counter or histogram."""
    if "count" in sample:
        return {"count": sample["count"], "sum": sample["sum"]} | {f"le={le}": n for le, n in sample.get("buckets", {}).items()}
    return {"total": sample["value"]}


def check_raw_scrapes(tally, path, data, boundary_scrape):
    """Totals from the raw scrapes: last one minus the last one sent before the phase began. What a page did not show
    before the phase was 0 (AIPerf loses its first values). Series that fall in between (a server restart) are left out."""
    start = data["summary"]["phase_time_ranges"]["profiling"]["start_ns"]
    before, after, fell = {}, {}, set()
    for line in read_jsonl(path):
        for metric, samples in line["metrics"].items():
            for sample in samples:
                key = series_key(line["endpoint_url"], metric, sample.get("labels"))
                values = scalars(sample)
                known = after.get(key) or before.get(key)
                if known and any(values.get(name, 0) < value for name, value in known.items()):
                    fell.add(key)
                (before if line["request_sent_ns"] < start else after)[key] = values
    faults, compared, left_out = [], 0, 0
    pages_before = {endpoint for endpoint, _, _ in before}
    for key, kind, series in json_series(data):
        if kind not in ("counter", "histogram", "summary") or key[0] not in pages_before or (boundary_scrape and key not in before):
            continue
        if key in fell:
            left_out += 1
            continue
        compared += 1
        first = before.get(key, {})
        last = after.get(key, first)
        grown = {name: value - first.get(name, 0) for name, value in last.items()}
        wanted = {"total": series["stats"]["total"]} if kind == "counter" else (
            {"count": series["stats"]["count"], "sum": series["stats"].get("sum", 0.0)}
            | {f"le={le}": n for le, n in series.get("buckets", {}).items()})
        for name, value in wanted.items():
            if not close(grown.get(name, np.nan), value):
                faults.append(f"{key}.{name}: scrapes give {grown.get(name)}, JSON has {value}")
    if not compared:
        faults.append("no series to compare")
    tally.faults("raw scrapes give the same totals", faults, f"{compared} series, {left_out} that fell left out")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--prefix")
    parser.add_argument("--boundary-scrape", action="store_true")
    options = parser.parse_args()
    stem = f"{options.prefix}_server_metrics" if options.prefix else "server_metrics_export"
    files = {kind: options.directory / f"{stem}.{kind}" for kind in ("json", "csv", "parquet", "jsonl")}
    tally = Tally()
    data = json.loads(files["json"].read_text(encoding="utf-8"))
    series = parquet_series(files["parquet"])
    check_json(tally, data, series)
    check_csv(tally, files["csv"], data)
    check_layout(tally, files["parquet"], data)
    check_parquet_against_json(tally, series, data, options.boundary_scrape)
    if files["jsonl"].exists():
        check_raw_scrapes(tally, files["jsonl"], data, options.boundary_scrape)
    tally.close()


if __name__ == "__main__":
    run(main)
