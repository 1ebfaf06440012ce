"""Reads the files of one run directory the plain way: json, csv and a few dataclasses, nothing of the project's own."""
import csv
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

NS_PER_S = 1_000_000_000


def read_jsonl(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


@dataclass
class Run:
    """A run directory: the summary, the records, the slices, and where each file is."""

    directory: Path
    prefix: str | None = None
    summary: dict = field(default_factory=dict)
    records: list = field(default_factory=list)
    slices: dict | None = None

    def path(self, default, suffix):
        """The file with its default name, or with the prefix of --profile-export-prefix."""
        return self.directory / (default if self.prefix is None else f"{self.prefix}{suffix}")

    @property
    def summary_path(self):
        return self.path("profile_export_aiperf.json", ".json")

    @property
    def records_path(self):
        return self.path("profile_export.jsonl", ".jsonl")

    @property
    def slices_path(self):
        return self.path("profile_export_aiperf_timeslices.json", "_timeslices.json")

    @property
    def server_metrics_path(self):
        return self.path("server_metrics_export.json", "_server_metrics.json")

    @classmethod
    def load(cls, directory, prefix=None):
        run = cls(Path(directory), prefix)
        run.summary = json.loads(run.summary_path.read_text(encoding="utf-8"))
        run.records = read_jsonl(run.records_path)
        if run.slices_path.exists():
            run.slices = json.loads(run.slices_path.read_text(encoding="utf-8"))
        return run

    def phase(self, name):
        """Records of one phase."""
        return [r for r in self.records if r["metadata"]["benchmark_phase"] == name]

    def window(self, phase="profiling"):
        """[start, end] of a phase in epoch ns: exact where a file says so (tokmeter's own key first), else from the summary's local times.

        The summary's times carry no offset, so the offset is taken as the quarter of an hour that brings the
        phase start next to the first request; the microsecond they are rounded to is the third value.
        """
        exact = self.summary.get("tokmeter", {}).get("window" if phase == "profiling" else f"{phase}_window")
        if exact:
            return exact["start_ns"], exact["end_ns"], 0
        manifest = self.directory / "phase_manifest.json"
        if manifest.exists():
            for entry in json.loads(manifest.read_text())["phases"]:
                if entry["phase_name"] == phase:
                    return entry["start_ns"], entry["end_ns"], 0
        if self.server_metrics_path.exists():
            ranges = json.loads(self.server_metrics_path.read_text())["summary"].get("phase_time_ranges", {})
            if phase in ranges:
                return ranges[phase]["start_ns"], ranges[phase]["end_ns"], 0
        if phase != "profiling":
            raise KeyError(f"no file gives the window of phase {phase}")
        ends = [epoch_ns_as_utc(self.summary[key]) for key in ("start_time", "end_time")]
        first = min(r["metadata"]["request_start_ns"] for r in self.phase(phase))
        quarter = 900 * NS_PER_S
        offset = round((first - ends[0]) / quarter) * quarter
        return ends[0] + offset, ends[1] + offset, 1000


def epoch_ns_as_utc(text):
    """An ISO time without offset, read as UTC, in integer nanoseconds."""
    moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    return round(moment.replace(microsecond=0).timestamp()) * NS_PER_S + moment.microsecond * 1000


def metric_blocks(mapping):
    """The entries of a summary that are metrics: objects with a unit."""
    return {k: v for k, v in mapping.items() if isinstance(v, dict) and "unit" in v}


def csv_blocks(path):
    """A CSV file of several tables, as lists of rows; tables are separated by empty lines."""
    blocks, block = [], []
    with open(path, newline="", encoding="utf-8") as text:
        for row in csv.reader(text):
            if row:
                block.append(row)
            elif block:
                blocks.append(block)
                block = []
    if block:
        blocks.append(block)
    return blocks
