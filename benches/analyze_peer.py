"""analyze_peer.py RECORDS: the figures of `tokmeter analyze` as a careful Python script computes them, with orjson and numpy."""
import sys

import numpy
import orjson


def table(values):
    values = numpy.asarray(values, dtype=float)
    values = values[values > 0]
    if not len(values):
        return None
    quantiles = numpy.percentile(values, [50, 90, 95, 99], method="inverted_cdf")
    return [values.min(), values.max(), values.mean(), *quantiles]


def main():
    total = created = reused = streaming = 0
    setup, send, first, last, gaps, sizes, counts = [], [], [], [], [], [], []
    request_bytes, response_bytes, inputs, outputs = [], [], [], []
    for line in open(sys.argv[1], "rb"):
        record = orjson.loads(line)
        total += 1
        trace = record.get("trace_data")
        if not trace:
            continue
        if "connection_reused_ns" in trace:
            reused += 1
        elif "tcp_connect_end_ns" in trace:
            created += 1
            setup.append(trace["tcp_connect_end_ns"] - trace["tcp_connect_start_ns"])
        end = trace["request_send_end_ns"]
        send.append(end - trace["request_send_start_ns"])
        first.append(trace["response_receive_start_ns"] - end)
        last.append(trace["response_receive_end_ns"] - end)
        chunks = trace["response_chunks"]
        counts.append(len(chunks))
        streaming += len(chunks) > 1
        previous = None
        for instant, size in chunks:
            if previous is not None:
                gaps.append(instant - previous)
            previous = instant
            sizes.append(size)
        request_bytes.append(trace["request_bytes_total"])
        response_bytes.append(trace["response_bytes_total"])
        inputs.append(record["metrics"]["input_sequence_length"]["value"])
        outputs.append(record["metrics"]["output_sequence_length"]["value"])
    rates = numpy.asarray(outputs) / (numpy.asarray(last) / 1e9)
    figures = {name: table(values) for name, values in (
        ("setup", setup), ("send", send), ("ttfb", first), ("ttlb", last), ("gaps", gaps), ("sizes", sizes),
        ("chunks", counts), ("request", request_bytes), ("response", response_bytes), ("inputs", inputs),
        ("outputs", outputs), ("rates", rates))}
    print(total, created, reused, streaming, figures)


if __name__ == "__main__":
    main()
