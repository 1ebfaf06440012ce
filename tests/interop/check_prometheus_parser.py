"""check_prometheus_parser.py [--pages N] [--seed S]: `tokmeter scrape --page FILE --format json` against the parsers of
prometheus_client, on every captured page of tests/fixtures/metrics and on generated pages of both formats.

The two agree when they see the same samples (name, labels, value, timestamp) and give each the same type. The classic
parser of prometheus_client renames counters: names are compared without `_total`.
"""
import argparse
import json
import math
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as classic_families

from exposition_pages import classic_page, openmetrics_page
from tally import Tally, run

ROOT = Path(__file__).parent.parent.parent
TOKMETER = os.environ.get("TOKMETER", str(ROOT / "target/release/tokmeter"))


def number(value):
    """A value as both sides can write it: JSON knows no infinities, so they may come as text."""
    value = float("nan") if value is None else float(value)
    return "NaN" if math.isnan(value) else repr(value)


def plain(name, kind):
    return name.removesuffix("_total") if kind == "counter" else name


def kind_of(kind):
    """Types that mean the same: no TYPE line, `untyped` and `unknown`."""
    return "unknown" if kind in ("untyped", "unknown", None) else kind


def expected_samples(families):
    samples = Counter()
    for family in families:
        kind = kind_of(family.type)
        for s in family.samples:
            stamp = None if s.timestamp is None else round(float(s.timestamp) * 1000)
            samples[kind, plain(s.name, kind), tuple(sorted(s.labels.items())), number(s.value), stamp] += 1
    return samples


def parsed_samples(families):
    samples = Counter()
    for family in families:
        kind = kind_of(family.get("type"))
        for s in family["samples"]:
            stamp = s.get("timestamp")
            samples[kind, plain(s["name"], kind), tuple(sorted(s.get("labels", {}).items())), number(s["value"]),
                    None if stamp is None else round(stamp * 1000)] += 1
    return samples


def tokmeter_families(path):
    done = subprocess.run([TOKMETER, "scrape", "--page", str(path), "--format", "json"], capture_output=True, text=True,
                          timeout=60)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip() or f"exit code {done.returncode}")
    page = json.loads(done.stdout)
    if page["problems"]:
        raise ValueError(f"not read: {page['problems'][:2]}")
    return page["families"]


def differences(path, families):
    try:
        ours = parsed_samples(tokmeter_families(path))
    except (ValueError, KeyError) as error:
        return [f"{path.name}: {error}"], 0
    theirs = expected_samples(families)
    faults = [f"{path.name}: missing {sample}" for sample in list(theirs - ours)[:3]]
    faults += [f"{path.name}: invented {sample}" for sample in list(ours - theirs)[:3]]
    return faults, sum(theirs.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=150)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    tally = Tally()
    for path in sorted((ROOT / "tests/fixtures/metrics").glob("*.prom")):
        faults, count = differences(path, classic_families(path.read_text(encoding="utf-8")))
        tally.faults(f"parser: {path.name}", faults, f"{count} samples")
    with tempfile.TemporaryDirectory() as folder:
        for name, generate, parse in (("classic", classic_page, classic_families),
                                      ("openmetrics", openmetrics_page, openmetrics_families)):
            faults, count = [], 0
            for index in range(options.pages):
                text = generate(options.seed + index)
                path = Path(folder) / f"{name}-{options.seed + index}.prom"
                path.write_text(text, encoding="utf-8")
                found, samples = differences(path, parse(text))
                faults += found
                count += samples
            tally.faults(f"parser: {options.pages} generated {name} pages", faults, f"{count} samples, seed {options.seed}")
    tally.close()


if __name__ == "__main__":
    run(main)
