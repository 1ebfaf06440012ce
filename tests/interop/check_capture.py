"""check_capture.py SEGMENTS DIR PORT REQUESTS: response instants of a run against the segments a capture saw.

SEGMENTS: lines of tshark, `time stream source-port payload-in-hex`, payload only. A segment of the client that names an
X-Request-ID begins a request; what the server sends on that stream until the next one is its answer.
"""
import re
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import numpy as np

from run_files import Run
from tally import Tally, run

REQUEST_ID = re.compile(rb"x-request-id: *([0-9a-f-]{36})", re.IGNORECASE)
LIMIT_US = 100


def answers(path, port):
    """Per request id: instants (ns) of the answer's segments that carry more than the final empty chunk."""
    current, found = {}, defaultdict(list)
    for line in path.read_text().splitlines():
        time, stream, source, payload = line.split("\t")
        data = bytes.fromhex(payload.replace(":", ""))
        if int(source) != port:
            if (named := REQUEST_ID.search(data)):
                current[stream] = named.group(1).decode()
        elif data != b"0\r\n\r\n" and stream in current:
            found[current[stream]].append(int(Decimal(time) * 1_000_000_000))
    return found


def main():
    segments, folder, port, requests = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    tally = Tally()
    captured = answers(segments, port)
    first, last, missing = [], [], []
    records = Run.load(folder).phase("profiling")
    for record in records:
        who, trace = record["metadata"]["x_request_id"], record.get("trace_data", {})
        if who not in captured or "response_receive_end_ns" not in trace:
            missing.append(f"{who} {'has no end' if who in captured else 'was not captured'}")
            continue
        first.append((trace["response_first_byte_ns"] - captured[who][0]) / 1e3)
        last.append((trace["response_receive_end_ns"] - captured[who][-1]) / 1e3)
    tally.faults("tshark: every answer is in the capture", missing, f"{len(records)} records, {len(captured)} captured")
    for name, errors in (("first byte", first), ("last byte", last)):
        q = np.percentile(np.abs(errors), (50, 99)) if errors else (np.inf, np.inf)
        tally.check(f"tshark: {name} within {LIMIT_US} us of the capture (p99)", len(errors) == requests and q[1] <= LIMIT_US,
                    f"p50 {q[0]:.0f} us, p99 {q[1]:.0f} us over {len(errors)} requests, "
                    f"sources {sorted({r['trace_data'].get('stamp_source') for r in records if 'trace_data' in r})}")
    tally.close()


if __name__ == "__main__":
    run(main)
