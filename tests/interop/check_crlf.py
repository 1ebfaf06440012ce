"""check_crlf.py DIR REQUESTS: what came through from crlf_server.py."""
import json
import sys
from pathlib import Path

from crlf_server import WORDS
from run_files import Run, read_jsonl
from tally import Tally, run


def text_of(raw):
    """The answer put together from the raw events."""
    text = ""
    for response in raw["responses"]:
        # the standard joins the data lines of one event with a line feed; AIPerf keeps them apart
        data = "\n".join(packet["value"] for packet in response["packets"] if packet["name"] == "data")
        if data and data != "[DONE]":
            for choice in json.loads(data)["choices"]:
                text += choice["delta"].get("content") or ""
    return text


def main():
    folder, requests = Path(sys.argv[1]), int(sys.argv[2])
    tally = Tally()
    records = Run.load(folder).phase("profiling")
    failures = [record["error"] for record in records if "error" in record]
    tally.check("crlf: every request succeeded", len(records) == requests and not failures, f"{len(records)} records, {failures[:1]}")
    gaps = {len(r["metrics"]["inter_chunk_latency"]["value"]) for r in records if "error" not in r}
    tally.check("crlf: a gap between every two words", gaps == {len(WORDS) - 1}, f"{gaps}")
    usage = {r["metrics"].get("usage_completion_tokens", {}).get("value") for r in records if "error" not in r}
    tally.check("crlf: usage of the last event", usage == {len(WORDS)}, f"{usage}")
    texts = {text_of(raw) for raw in read_jsonl(folder / "profile_export_raw.jsonl")}
    tally.check("crlf: the text is what was sent", texts == {"".join(WORDS)}, f"{texts}")
    tally.close()


if __name__ == "__main__":
    run(main)
