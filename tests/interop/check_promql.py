"""check_promql.py URL [--queries FILE] [--dashboard FILE] [--rules FILE...] [--wait S]: every query must return data from a
running Prometheus: those of a text (one a line), every panel of a Grafana dashboard, every operand of every rule.

Comparisons are taken off alert expressions first: an alert that rightly does not fire returns nothing.
"""
import argparse
import json
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path

from tally import Tally, run

# what Grafana puts in before it asks
GRAFANA = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "5m", "${__rate_interval}": "1m"}


def ask(url, query):
    """The result vector of an instant query; an error of Prometheus as text."""
    address = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        return json.load(error)["error"]


def with_data(result):
    return isinstance(result, list) and any(sample["value"][1] != "NaN" for sample in result)


def panels(node):
    """(title, expression) of every target, in rows too."""
    for panel in node.get("panels", []):
        for target in panel.get("targets", []):
            if target.get("expr"):
                yield panel.get("title", "?"), target["expr"]
        yield from panels(panel)


def grafana_filled(expression, dashboard):
    for name, value in GRAFANA.items():
        expression = expression.replace(name, value)
    for variable in dashboard.get("templating", {}).get("list", []):
        for form in (f"${{{variable['name']}}}", f"${{{variable['name']}:regex}}", f"${variable['name']}"):
            expression = expression.replace(form, ".*")
    return expression


def rule_expressions(path):
    """(name, expression) of a rules file; promtool has checked its form, so lines are enough."""
    name, lines = None, path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if (found := re.match(r"\s*-?\s*(?:alert|record): *(\S+)", line)):
            name = found.group(1)
        if (found := re.match(r"(\s*)-?\s*expr: *(.*)", line)):
            depth, text = len(found.group(1)), found.group(2).strip("'\"")
            if text in ("|", ">", "|-", ">-"):
                block = []
                for following in lines[number + 1:]:
                    if following.strip() and len(following) - len(following.lstrip()) <= depth:
                        break
                    block.append(following.strip())
                text = " ".join(block)
            yield name, text


def at_top(expression, words):
    """The parts of an expression between these words, where no bracket or string is open."""
    parts, depth, quoted, begin, at = [], 0, False, 0, 0
    while at < len(expression):
        letter = expression[at]
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "([{") - (letter in ")]}")
        found = None if quoted or depth else re.match(rf"\s(?:{words})\s+(?:(?:on|ignoring) *\([^)]*\) *)?", expression[at:])
        if found:
            parts.append(expression[begin:at])
            begin = at = at + found.end()
        else:
            at += 1
    return parts + [expression[begin:]]


def operands(expression):
    """The parts of an alert that must have data whether it fires or not; an `or` stands in for the part before it."""
    for part in at_top(expression, "and|unless"):
        part = re.sub(r"\s*(?:>=|<=|==|!=|>|<)\s*(?:bool\s+)?[-\d.e+*() ]+$", "", part.strip())
        if not part.startswith("absent"):
            yield part


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--dashboard", type=Path)
    parser.add_argument("--rules", type=Path, nargs="*", default=[])
    parser.add_argument("--wait", type=float, default=20)
    options = parser.parse_args()
    groups = {}
    if options.queries:
        groups["guide"] = [("", line) for line in options.queries.read_text().splitlines() if line and not line.startswith("#")]
    if options.dashboard:
        dashboard = json.loads(options.dashboard.read_text())
        groups["dashboard"] = [(title, grafana_filled(expr, dashboard)) for title, expr in panels(dashboard)]
    for path in options.rules:
        groups[path.name] = [(name, part) for name, expr in rule_expressions(path) for part in operands(expr)]
    tally = Tally()
    for group, queries in groups.items():
        deadline = time.monotonic() + options.wait
        pending = list(queries)
        while pending and time.monotonic() < deadline:
            pending = [(name, query) for name, query in pending if not with_data(ask(options.url, query))]
            if pending:
                time.sleep(1)
        empty = [f"{name}: {query} gives {ask(options.url, query) or 'nothing'}" for name, query in pending]
        tally.check(f"prometheus: {group} has queries", bool(queries), f"{len(queries)}")
        tally.faults(f"prometheus: every query of {group} returns data", empty, f"{len(queries)} queries")
    tally.close()


if __name__ == "__main__":
    run(main)
