"""What must hold inside every record of profile_export.jsonl: metrics that follow from one another, instants in order,
phases that add up. Called by check_statistics.py."""
import itertools

from tally import relative_difference

PHASES = ("blocked", "dns_lookup", "connecting", "sending", "waiting", "receiving")
INSTANTS_IN_ORDER = ("request_send_start_ns", "request_headers_sent_ns", "request_send_end_ns",
                     "response_receive_start_ns", "response_receive_end_ns")
FRACTION_OF_A_NS = 1e-6  # in ms


def close(a, b, tolerance=1e-6):
    return abs(a - b) <= 2 * FRACTION_OF_A_NS or relative_difference(a, b) <= tolerance


def metric_faults(metrics):
    """Identities between the metrics of one successful request."""
    def value(tag):
        return metrics[tag]["value"] if tag in metrics else None

    def expect(tag, computed):
        if value(tag) is not None and computed is not None and not close(value(tag), computed):
            yield f"{tag} is {value(tag)}, the others give {computed}"

    latency, first = value("request_latency"), value("time_to_first_token")
    isl, osl = value("input_sequence_length"), value("output_sequence_length")
    gaps = value("inter_chunk_latency")
    if latency is None:
        yield "request_latency is missing"
        return
    if osl is not None:
        yield from expect("output_sequence_length", (value("output_token_count") or 0) + (value("reasoning_token_count") or 0))
        yield from expect("e2e_output_token_throughput", osl / latency * 1e3)
    if first is not None:
        yield from expect("decode_duration", latency - first)
        if isl is not None and first > 0:
            yield from expect("prefill_throughput_per_user", isl / first * 1e3)
        if value("inter_token_latency"):
            tokens = (latency - first) / value("inter_token_latency")
            if abs(tokens - round(tokens)) > 1e-6 * max(tokens, 1) or not 1 <= round(tokens) <= max((osl or 2) - 1, 1):
                yield f"inter_token_latency divides decoding by {tokens}, output has {osl} tokens"
            yield from expect("output_token_throughput_per_user", 1e3 / value("inter_token_latency"))
    if gaps:
        yield from expect("decode_duration", sum(gaps))
        yield from expect("time_to_second_token", gaps[0])
        if min(gaps) < 0:
            yield "a gap between chunks is negative"
    http = {phase: value(f"http_req_{phase}") for phase in PHASES}
    missing = [phase for phase, v in http.items() if v is None]
    if missing:
        yield f"http_req_ {missing} missing on a success"
        return
    if min(http.values()) < 0:
        yield f"a phase is negative: {http}"
    yield from expect("http_req_total", sum(http.values()))
    yield from expect("http_req_connection_overhead", http["blocked"] + http["dns_lookup"] + http["connecting"])
    if value("http_req_connection_reused") == 1 and (http["dns_lookup"] or http["connecting"]):
        yield "a reused connection was looked up or connected"


def trace_faults(record):
    """Raw instants against each other and against the metrics computed from them."""
    trace, metrics = record["trace_data"], record["metrics"]
    instants = [(name, trace[name]) for name in INSTANTS_IN_ORDER if name in trace]
    for (name, a), (after, b) in itertools.pairwise(instants):
        if b < a:
            yield f"{after} is {a - b} ns before {name}"
    for name, start, end in (("sending_ns", "request_send_start_ns", "request_send_end_ns"),
                             ("waiting_ns", "request_send_end_ns", "response_receive_start_ns"),
                             ("receiving_ns", "response_receive_start_ns", "response_receive_end_ns"),
                             ("duration_ns", "request_send_start_ns", "response_receive_end_ns")):
        if name in trace:
            # a body that came in one read was received at once, though its end may be noticed later
            at_once = name == "receiving_ns" and trace["response_chunks_count"] == 1 and trace[name] == 0
            if not at_once and (start not in trace or end not in trace or trace[name] != trace[end] - trace[start]):
                yield f"{name} is {trace[name]}, its instants say otherwise"
            tag = f"http_req_{name.removesuffix('_ns')}"
            if tag in metrics and not close(metrics[tag]["value"], trace[name] / 1e6):
                yield f"{tag} is {metrics[tag]['value']} ms, trace_data has {trace[name]} ns"
    for side in ("request", "response"):
        chunks = trace[f"{side}_chunks"]
        if chunks:
            if len(chunks) != trace[f"{side}_chunks_count"] or sum(size for _, size in chunks) != trace[f"{side}_bytes_total"]:
                yield f"{side}_chunks do not add up to their count and bytes"
            if any(b[0] < a[0] for a, b in itertools.pairwise(chunks)):
                yield f"{side}_chunks go back in time"


def metadata_faults(metadata):
    start, end = metadata["request_start_ns"], metadata["request_end_ns"]
    if end < start:
        yield "ended before it started"
    if metadata.get("credit_issued_ns", start) > start:
        yield "started before it was released"
    if not start <= metadata.get("request_ack_ns", start) <= end:
        yield "acknowledged outside of its time"


def check_records(tally, records, float_epoch):
    """Every record by itself, and ids that are unique. AIPerf stamps cancelled requests late (its known bug), so with
    float_epoch the instants of those are not judged."""
    faults, traced = [], 0
    for number, record in enumerate(records):
        where = f"record {number}"
        if not (float_epoch and record["metadata"].get("was_cancelled")):
            faults += [f"{where}: {f}" for f in metadata_faults(record["metadata"])]
        if "error" in record:
            if set(record["metrics"]) - {"error_isl"} or not record["error"].get("message"):
                faults.append(f"{where}: a failure with metrics {sorted(record['metrics'])} and error {record['error']}")
        else:
            faults += [f"{where}: {f}" for f in metric_faults(record["metrics"])]
            if "trace_data" in record:
                traced += 1
                faults += [f"{where}: {f}" for f in trace_faults(record)]
    ids = [r["metadata"].get("x_request_id") for r in records]
    if len(set(ids)) != len(ids):
        faults.append("x_request_id is not unique")
    tally.faults("records: identities, order, phases", faults, f"{len(records)} records, {traced} with trace data")
