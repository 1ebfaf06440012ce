"""check_parquet.py DIR: profile_export.parquet, read by pyarrow and DuckDB, holds what profile_export.jsonl holds."""
import json
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet

from tally import Tally, run


def main():
    directory = Path(sys.argv[1])
    tally = Tally()
    table = pyarrow.parquet.read_table(directory / "profile_export.parquet")
    lines = [json.loads(line) for line in (directory / "profile_export.jsonl").read_text().splitlines()]
    rows = table.to_pylist()
    tally.check("parquet: rows", len(rows) == len(lines) and len(rows) > 0, f"{len(rows)} rows, {len(lines)} lines")
    units = json.loads(table.schema.metadata[b"tokmeter.units"])

    by_id = {row["x_request_id"]: row for row in rows}
    faults, values = [], 0
    for line in lines:
        row = by_id.get(line["metadata"]["x_request_id"], {})
        for key, value in line["metadata"].items():
            values += 1
            if row.get(key) != value:
                faults.append(f"{key}: {row.get(key)!r} is not {value!r}")
        for tag, metric in line["metrics"].items():
            values += 1
            if row.get(tag) != metric["value"] or units.get(tag) != metric["unit"]:
                faults.append(f"{tag}: {row.get(tag)!r} {units.get(tag)} is not {metric}")
        for key, value in line.get("error", {}).items():
            values += 1
            found = row.get(f"error_{key}")
            if (json.loads(found) if isinstance(value, list) and found else found) != value:
                faults.append(f"error_{key}: {found!r} is not {value!r}")
        for phase in ("blocked", "connecting", "sending", "waiting", "receiving", "duration"):
            if row.get(f"{phase}_ns") != line["trace_data"].get(f"{phase}_ns"):
                faults.append(f"{phase}_ns: {row.get(f'{phase}_ns')}")
        if json.loads(row["trace_data"]) != line["trace_data"]:
            faults.append("trace_data differs")
    tally.faults("parquet: every value is that of the line", faults, f"{values} values")

    path = str(directory / "profile_export.parquet")
    found = duckdb.sql(f"select count(*), count(error_message), max(len(inter_chunk_latency)) from '{path}'").fetchall()[0]
    failed = sum("error" in line for line in lines)
    longest = max(len(line["metrics"].get("inter_chunk_latency", {}).get("value", [])) for line in lines)
    tally.check("parquet: duckdb", found == (len(lines), failed, longest), f"{found}")
    tally.close()


if __name__ == "__main__":
    run(main)
