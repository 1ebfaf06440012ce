"""Generated metric pages, the same for the same seed: valid, but with everything the formats allow to be awkward."""
import random

VALUES = ("0", "1", "-1", "3.5", "1e3", "1.5e-07", "12345678901234567890", "NaN", "+Inf", "-Inf", "0.1", "4e+18")
FINITE = tuple(v for v in VALUES if v not in ("NaN", "+Inf", "-Inf"))
TEXTS = ("plain", "", "with space", 'a "quote"', "back\\slash", "line\nbreak", "naïve 日本語", "a,b={c}", "tail\\", "}", "#")
NAMES = ("model_name", "engine", "le_gal", "path", "code", "_x", "a1")


def escaped(text):
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def label_text(labels):
    return "{" + ",".join(f'{k}="{escaped(v)}"' for k, v in labels) + "}" if labels else ""


def some_labels(draw):
    return [(name, draw.choice(TEXTS)) for name in draw.sample(NAMES, draw.randint(0, 3))]


def help_text(draw):
    return draw.choice(("Requests.", "", "Two\\nlines", "A back\\\\slash", "Time in seconds {x=\"y\"}", "ünï"))


def histogram(draw, name, labels, extra=""):
    """Cumulative buckets with the sum and count that belong to them."""
    bounds = sorted(draw.sample((0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 10.0, 100.0), draw.randint(1, 6)))
    total, lines = 0, []
    for bound in [*(str(b) for b in bounds), "+Inf"]:
        total += draw.randint(0, 50)
        lines.append(f"{name}_bucket{label_text([*labels, ('le', bound)])} {total}{extra}")
    lines += [f"{name}_sum{label_text(labels)} {draw.uniform(0, 1000)!r}{extra}", f"{name}_count{label_text(labels)} {total}{extra}"]
    return lines


def classic_page(seed):
    """Text format 0.0.4: counters with and without `_total`, no TYPE lines, timestamps, comments, odd white space."""
    draw = random.Random(seed)
    lines = []
    for index in range(draw.randint(1, 12)):
        name = draw.choice((f"m{index}_seconds", f"vllm:m{index}", f"m{index}:rate5m", f"M_{index}"))
        kind = draw.choice(("counter", "gauge", "histogram", "summary", "untyped", None))
        if kind == "counter":
            name += "_total"
        if draw.random() < 0.8:
            lines.append(f"# HELP {name} {help_text(draw)}")
        if kind is not None:
            lines.append(f"# TYPE {name} {kind}")
        elif draw.random() < 0.3:
            lines.append("# just a remark")
        stamp = f" {draw.randint(10**12, 2 * 10**12)}" if draw.random() < 0.2 else ""
        seen = set()
        for _ in range(draw.randint(0, 4)):
            labels = some_labels(draw)
            if tuple(labels) in seen:
                continue
            seen.add(tuple(labels))
            if kind == "histogram":
                lines += histogram(draw, name, labels, stamp)
            elif kind == "summary":
                lines += [f"{name}{label_text([*labels, ('quantile', q)])} {draw.choice(VALUES)}{stamp}" for q in ("0.5", "0.99")]
                lines += [f"{name}_sum{label_text(labels)} {draw.choice(FINITE)}{stamp}", f"{name}_count{label_text(labels)} 7{stamp}"]
            else:
                space = draw.choice((" ", " ", "  ", "\t"))
                lines.append(f"{name}{label_text(labels)}{space}{draw.choice(VALUES)}{stamp}")
        if draw.random() < 0.3:
            lines.append("")
    return "\n".join(lines) + draw.choice(("\n", "\n", "\n\n"))


def openmetrics_page(seed):
    """OpenMetrics 1.0: units, exemplars, created stamps, info, stateset, gauge histograms, the EOF mark."""
    draw = random.Random(seed)
    lines = []
    for index in range(draw.randint(1, 10)):
        kind = draw.choice(("counter", "gauge", "histogram", "summary", "info", "stateset", "gaugehistogram", "unknown"))
        unit = draw.choice(("", "", "seconds", "bytes")) if kind not in ("info", "stateset") else ""
        name = f"m{index}" + (f"_{unit}" if unit else "")
        lines.append(f"# TYPE {name} {kind}")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        if draw.random() < 0.7:
            lines.append(f"# HELP {name} {help_text(draw)}")
        labels = [(k, v) for k, v in some_labels(draw)]
        text = label_text(labels)
        if kind == "counter":
            exemplar = ' # {trace_id="4bf92f3577b34da6"} 0.67 1520879607.789' if draw.random() < 0.5 else ""
            lines.append(f"{name}_total{text} {draw.choice(('0', '17', '2.5e3'))}{exemplar}")
            if draw.random() < 0.5:
                lines.append(f"{name}_created{text} 1520872607.123")
        elif kind in ("gauge", "unknown"):
            stamp = " 1520879607.789" if draw.random() < 0.3 else ""
            lines.append(f"{name}{text} {draw.choice(VALUES)}{stamp}")
        elif kind == "histogram":
            lines += histogram(draw, name, labels)
        elif kind == "gaugehistogram":
            lines += [line.replace("_sum", "_gsum").replace("_count", "_gcount") for line in histogram(draw, name, labels)]
        elif kind == "summary":
            lines += [f"{name}{label_text([*labels, ('quantile', '0.5')])} 1.5", f"{name}_sum{text} 12.5", f"{name}_count{text} 3"]
        elif kind == "info":
            lines.append(f"{name}_info{label_text([*labels, ('version', '1.2.3')])} 1")
        else:
            lines += [f"{name}{label_text([*labels, (name, state)])} {on}" for state, on in (("a", 1), ("b b", 0))]
    return "\n".join([*lines, "# EOF"]) + "\n"
