"""check_faulty.py DIR [--cut]: DuckDB and pandas read what a run with failures left behind, and count what the summary counts.

With --cut the run was killed and recovered: the last line of its records may be half a line.
"""
import sys
from pathlib import Path

import duckdb
import pandas

from tally import Tally, run


def main():
    directory, cut = Path(sys.argv[1]), "--cut" in sys.argv[2:]
    tally, name = Tally(), Path(sys.argv[1]).name
    connection = duckdb.connect()
    summary = connection.execute(
        "SELECT tokmeter.requests, error_summary FROM read_json(?, maximum_object_size = 67108864)",
        [str(directory / "profile_export_aiperf.json")],
    ).fetchone()
    requests, table = summary[0], summary[1] or []
    wanted = (requests["sent"], requests["succeeded"], requests["sent"] - requests["succeeded"])
    tally.check(f"{name}: duckdb: the summary adds up", requests["sent"] > 0 and wanted[2] == requests["failed"], f"{requests}")
    tally.check(f"{name}: duckdb: the error table adds up", sum(row["count"] for row in table) == wanted[2], f"{wanted[2]} failed")

    count = "count(*), count(*) FILTER (error IS NULL), count(error)"
    profiling = "WHERE metadata.benchmark_phase = 'profiling'"
    lines = directory / "profile_export.jsonl"
    # Without a failure DuckDB finds no column of that name.
    columns = "columns = {metadata: 'STRUCT(benchmark_phase VARCHAR, x_request_id VARCHAR)', error: 'JSON'}"
    read = f"read_json(?, format = 'newline_delimited', ignore_errors = {str(cut).lower()}, {columns})"
    found = connection.execute(f"SELECT {count} FROM {read} {profiling} AND metadata IS NOT NULL", [str(lines)]).fetchone()
    tally.check(f"{name}: duckdb: profile_export.jsonl", found == wanted, f"{found}")
    parquet = directory / "profile_export.parquet"
    if parquet.exists():
        count = "count(*), count(*) FILTER (error_class IS NULL), count(error_class)"
        where = "WHERE benchmark_phase = 'profiling'"
        found = connection.execute(f"SELECT {count} FROM read_parquet(?) {where}", [str(parquet)]).fetchone()
        tally.check(f"{name}: duckdb: profile_export.parquet", found == wanted, f"{found}")
    if not cut:
        frame = pandas.read_json(lines, lines=True)
        frame = frame[[row["benchmark_phase"] == "profiling" for row in frame["metadata"]]]
        failed = int(frame["error"].notna().sum()) if "error" in frame else 0
        tally.check(f"{name}: pandas: profile_export.jsonl", (len(frame), failed) == (wanted[0], wanted[2]), f"{len(frame)} rows")
    tally.close()


if __name__ == "__main__":
    run(main)
