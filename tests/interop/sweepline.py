"""Time-weighted metrics from per-request records: who was in flight, decoding, prefilling, and at what rate.

An independent statement of the definitions in docs (construction, ties, masks): all instants are integer
nanoseconds, values are summed in extended precision. A curve is a sorted list of (instant, value from there on).
"""
import numpy as np

STATISTICS = ("avg", "p50", "p90", "p95", "p99", "min", "max", "std")
NS = 1e9


class Curve:
    """A step function of time, 0 before its first change."""

    def __init__(self, instants, values):
        self.instants = instants
        self.values = values

    @classmethod
    def from_changes(cls, changes):
        """Sum up (instant, delta); what falls exactly on one instant is applied together."""
        if not changes:
            return cls(np.zeros(0, dtype=np.int64), np.zeros(0))
        instants = np.array([t for t, _ in changes], dtype=np.int64)
        deltas = np.array([d for _, d in changes], dtype=np.longdouble)
        order = np.argsort(instants, kind="stable")
        instants, deltas = instants[order], deltas[order]
        levels = np.cumsum(deltas)
        last_of_instant = np.append(np.diff(instants) > 0, True)
        levels = levels[last_of_instant].astype(float)
        levels[np.abs(levels) < 1e-9 * np.abs(levels).max()] = 0.0
        return cls(instants[last_of_instant], levels)

    def at(self, instants):
        """The value held at each of the instants."""
        index = np.searchsorted(self.instants, instants, side="right") - 1
        return np.where(index >= 0, np.append(self.values, 0.0)[index], 0.0)

    def over(self, other):
        """self / other where other is positive, else 0."""
        grid = np.union1d(self.instants, other.instants)
        below = other.at(grid)
        return Curve(grid, np.divide(self.at(grid), below, out=np.zeros(len(grid)), where=below > 0))

    def statistics(self, start, end, scale=1.0, mask=None):
        """Time-weighted statistics over [start, end], or over the part of it where the mask is positive."""
        changes = self.instants if mask is None else np.union1d(self.instants, mask.instants)
        inner = changes[(changes > start) & (changes < end)]
        grid = np.concatenate(([start], inner, [end])).astype(np.int64)
        values, widths = self.at(grid[:-1]) * scale, np.diff(grid).astype(float)
        kept = widths > 0 if mask is None else (widths > 0) & (mask.at(grid[:-1]) > 0)
        if not kept.any():
            return dict.fromkeys(STATISTICS, 0.0)
        values, widths = values[kept], widths[kept]
        mean = float(values @ widths / widths.sum())
        order = np.argsort(values, kind="stable")
        covered = np.cumsum(widths[order]) / widths.sum()
        result = {"avg": mean, "min": float(values.min()), "max": float(values.max()),
                  "std": float(np.sqrt((values - mean) ** 2 @ widths / widths.sum()))}
        for p in (50, 90, 95, 99):
            index = min(int(np.searchsorted(covered, p / 100, side="left")), len(order) - 1)
            result[f"p{p}"] = float(values[order][index])
        return result


def curves(records):
    """The curves of a run: (curve, scale of its written unit, mask curve) by metric tag."""
    in_flight, decoding, prefilling = [], [], []
    prefill, decode, total, tokens = [], [], [], []

    def rate(changes, start, end, amount):
        changes += [(start, amount), (end, -amount)]

    with_gaps = any(r["metrics"].get("inter_chunk_latency") for r in records)
    for record in records:
        metrics, metadata = record["metrics"], record["metadata"]

        def value(tag):
            return metrics[tag]["value"] if tag in metrics else None

        start, end = metadata["request_start_ns"], metadata["request_end_ns"]
        if end > start:
            rate(in_flight, start, end, 1)
        if value("time_to_first_token") is None:
            continue
        first = start + round(value("time_to_first_token") * 1e6)
        isl, osl = value("input_sequence_length"), value("output_sequence_length")
        if end > first:
            rate(decoding, first, end, 1)
        if first > start:
            rate(prefilling, start, first, 1)
            if isl:
                rate(prefill, start, first, isl / (first - start))
                rate(total, start, first, isl / (first - start))
        if osl and end > first:
            rate(total, first, end, (osl - 1) / (end - first))
        gaps = [round(gap * 1e6) for gap in value("inter_chunk_latency") or []]
        moving = [gap for gap in gaps if gap > 0]
        if osl and moving:
            at = first
            for gap in moving:
                rate(decode, at, at + gap, (osl - 1) / len(moving) / gap)
                at += gap
        elif osl and end > first:
            rate(decode, first, end, (osl - 1) / (end - first))
        if osl:
            tokens.append((start, isl or 0))
            if with_gaps:
                tokens.append((first, 1))
                at = first
                for gap in gaps:
                    at += gap
                    tokens.append((min(at, end - 1), (osl - 1) / len(gaps)))
                if not gaps:
                    tokens.append((first, osl - 1))
            else:
                tokens.append((first, osl))
            tokens.append((end, -((isl or 0) + osl)))

    c, d, p = (Curve.from_changes(x) for x in (in_flight, decoding, prefilling))
    dt, pt, tt, tk = (Curve.from_changes(x) for x in (decode, prefill, total, tokens))
    dt_user, pt_user = dt.over(d), pt.over(p)
    return {
        "effective_concurrency": (c, 1, None),
        "effective_decode_concurrency": (d, 1, None),
        "effective_prefill_concurrency": (p, 1, None),
        "effective_decode_throughput": (dt, NS, None),
        "effective_prefill_throughput": (pt, NS, None),
        "effective_total_throughput": (tt, NS, None),
        "effective_decode_throughput_per_user": (dt_user, NS, None),
        "effective_prefill_throughput_per_user": (pt_user, NS, None),
        "tokens_in_flight": (tk, 1, None),
        "active_decode_throughput": (dt, NS, d),
        "active_prefill_throughput": (pt, NS, p),
        "active_decode_throughput_per_user": (dt_user, NS, d),
        "active_prefill_throughput_per_user": (pt_user, NS, p),
        "active_total_throughput": (tt, NS, c),
    }
