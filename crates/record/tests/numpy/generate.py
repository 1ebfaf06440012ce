#!/usr/bin/env python3
"""Writes vectors.json: random samples with their statistics as numpy computes them.

    python3 -m venv venv && venv/bin/pip install numpy && venv/bin/python generate.py
"""

import json
import pathlib

import numpy

PERCENTILES = [1, 5, 10, 25, 50, 75, 90, 95, 99]


def samples(rng):
    yield "one", [42.5]
    yield "two", [2.0, 1.0]
    yield "equal", [7.0] * 13
    yield "tokens", rng.integers(1, 2048, 101).astype(float).tolist()
    yield "latency", rng.lognormal(4.5, 0.8, 500).tolist()
    yield "epoch", (1.795e18 + rng.integers(0, 10**9, 64)).astype(float).tolist()
    yield "signed", rng.normal(0.0, 30.0, 257).tolist()
    yield "wide", (10.0 ** rng.uniform(-9, 9, 300)).tolist()
    yield "tiny spread", (1e6 + rng.uniform(0, 1e-3, 200)).tolist()


def main():
    rng = numpy.random.default_rng(20261122)
    cases = []
    for name, values in samples(rng):
        array = numpy.array(values)
        failed = int(rng.integers(1, max(2, len(values) // 4)))
        adjusted = numpy.concatenate([array, numpy.full(failed, numpy.inf)])
        nearest = [numpy.percentile(adjusted, p, method="nearest") for p in PERCENTILES]
        cases.append(
            {
                "name": name,
                "values": values,
                "avg": float(numpy.mean(array)),
                "sum": float(numpy.sum(array)),
                "std": float(numpy.std(array)),
                "min": float(numpy.min(array)),
                "max": float(numpy.max(array)),
                "percentiles": [float(numpy.percentile(array, p)) for p in PERCENTILES],
                "failed": failed,
                "nearest_with_failed": [float(v) if numpy.isfinite(v) else None for v in nearest],
            }
        )
    path = pathlib.Path(__file__).with_name("vectors.json")
    path.write_text(json.dumps({"numpy": numpy.__version__, "cases": cases}) + "\n")


main()
