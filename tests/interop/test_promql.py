"""test_promql.py: does check_promql.py notice? Against a pretended Prometheus that knows one metric."""
import json
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from check_promql import operands
from tally import Tally, run

HERE = Path(__file__).parent


class Pretended(BaseHTTPRequestHandler):
    """Knows `known`, and `undefined`, whose value is NaN."""

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
        value = "1" if query.startswith("known") else "NaN" if query.startswith("undefined") else None
        body = json.dumps({"data": {"result": [{"value": [0, value]}] if value else []}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def checked(url, folder, rules, queries="known\n", panels=("known",)):
    """What the checker prints for these inputs."""
    (folder / "queries.txt").write_text(queries)
    (folder / "rules.yml").write_text(rules)
    (folder / "board.json").write_text(json.dumps({"panels": [{"title": "t", "targets": [{"expr": e} for e in panels]}]}))
    command = [sys.executable, HERE / "check_promql.py", url, "--queries", folder / "queries.txt", "--dashboard",
               folder / "board.json", "--rules", folder / "rules.yml", "--wait", "0.1"]
    return subprocess.run(command, capture_output=True, text=True)


def main():
    tally = Tally()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pretended)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    good = "- alert: A\n  expr: |-\n    known > 2.0 and on (a) known_count >= 20\n- record: r\n  expr: known\n"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        result = checked(url, folder, good)
        tally.check("promql: data everywhere passes", result.returncode == 0, "")
        for name, broken in [
            ("an empty query", {"queries": "known\nmissing\n"}), ("a panel of NaN", {"panels": ("known", "undefined")}),
            ("an alert with one empty side", {"rules": good.replace("known_count", "missing_count")}),
            ("a dashboard without panels", {"panels": ()}), ("an empty recording rule", {"rules": good + "- record: s\n  expr: missing\n"}),
        ]:
            result = checked(url, folder, **({"rules": good} | broken))
            said = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
            tally.check(f"promql: {name} fails", result.returncode != 0 and len(said) == 1, "; ".join(said))
    server.shutdown()
    for expression, wanted in [
        ('a{x="b and c"} > 1 and on (l) sum(d) by (l) >= 20', ['a{x="b and c"}', "sum(d) by (l)"]),
        ("1 - (good or 0 * every) / every", ["1 - (good or 0 * every) / every"]), ("absent(a)", []), ("increase(a[5m]) > 0", ["increase(a[5m])"]),
    ]:
        got = list(operands(expression))
        tally.check(f"promql: operands of {expression}", got == wanted, str(got))
    tally.close()


if __name__ == "__main__":
    run(main)
