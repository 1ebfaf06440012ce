"""check_tls.py DIR ACCESSLOG NAME: the trace data of a run through nginx against nginx's own log, request by request."""
import sys
from pathlib import Path

from run_files import Run, read_jsonl
from tally import Tally, relative_difference, run


def main():
    folder, log, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    tally = Tally()
    run = Run.load(folder)
    logged = {line["id"]: line for line in read_jsonl(log)}
    records = run.phase("profiling")
    failures = [record["error"]["message"] for record in records if "error" in record]
    tally.check(f"nginx {name}: every request succeeded", len(records) == 20 and not failures, f"{len(records)} records {failures[:2]}")

    facts, phases, resumed, connections = [], [], 0, set()
    for record in records:
        seen, trace = logged.get(record["metadata"]["x_request_id"]), record.get("trace_data", {})
        if seen is None or "error" in record:
            facts.append(f"{record['metadata']['x_request_id']} is not in nginx's log")
            continue
        connection = trace.get("connection", {})
        connections.add(seen["connection"])
        told = {"tls_version": connection.get("tls_version"), "http_version": connection.get("http_version"),
                "nth on connection": trace.get("connection_request_number"),
                "reused": trace.get("connection_reused_ns") is not None}
        wanted = {"tls_version": seen["protocol"], "http_version": seen["http"].removeprefix("HTTP/").removesuffix(".0"),
                  "nth on connection": seen["nth"], "reused": seen["nth"] > 1}
        facts += [f"{key} is {told[key]}, nginx says {wanted[key]}" for key in wanted if told[key] != wanted[key]]
        value = {tag: entry["value"] for tag, entry in record["metrics"].items()}
        tls, tcp = value.get("http_req_tls_handshaking"), value.get("http_req_tcp_connecting")
        if seen["nth"] == 1:
            resumed += bool(connection.get("tls_resumed"))
            if connection.get("tls_resumed") != (seen["resumed"] == "r"):
                facts.append(f"tls_resumed is {connection.get('tls_resumed')}, nginx says '{seen['resumed']}'")
            if not tls or not tcp or relative_difference(tls + tcp, value["http_req_connecting"]) > 1e-6:
                phases.append(f"new connection: tcp {tcp} + tls {tls}, connecting {value['http_req_connecting']}")
            order = ("dns_lookup_end_ns", "tcp_connect_start_ns", "tcp_connect_end_ns", "tls_start_ns", "tls_end_ns",
                     "request_send_start_ns", "request_send_end_ns", "response_receive_start_ns")
            instants = [trace[key] for key in order if key in trace]
            if instants != sorted(instants) or "tls_end_ns" not in trace:
                phases.append(f"instants out of order: {instants}")
        elif tls or tcp or value["http_req_connecting"]:
            phases.append(f"reused connection: tcp {tcp}, tls {tls}, connecting {value['http_req_connecting']}")
    tally.faults(f"nginx {name}: connection facts equal nginx's log", facts, f"{len(records)} requests on {len(connections)} connections")
    tally.faults(f"nginx {name}: TCP and TLS phases on new connections only", phases, f"{len(connections)} handshakes")
    ratio = run.summary["http_req_connection_reused"]["avg"]
    reused = sum(logged[r["metadata"]["x_request_id"]]["nth"] > 1 for r in records if r["metadata"]["x_request_id"] in logged)
    tally.check(f"nginx {name}: reuse ratio", abs(ratio - reused / len(records)) < 1e-9, f"{ratio}, nginx counts {reused} of {len(records)}")
    if not name.startswith("h2") and "concurrent" not in name:
        tally.check(f"nginx {name}: later connections resume the session", resumed >= len(connections) - 1 >= 1,
                    f"{resumed} of {len(connections)} connections resumed")
    tally.close()


if __name__ == "__main__":
    run(main)
