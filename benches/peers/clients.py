"""The clients that are compared: how each is told to do the same work.

A closed-loop work is (url, requests, concurrency, tokens, directory); a paced one has a rate instead of the concurrency.
"""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from simulator import RELEASE, ROOT

MODEL = "sim-model"


def environment_of(name):
    """Python of one of the pinned environments (tests/interop/requirements)."""
    out = subprocess.run([ROOT / "tests/interop/venv.sh", name], check=True, capture_output=True, text=True)
    return Path(out.stdout.strip())


def vocabulary(directory):
    """A cache in which tiktoken finds o200k_base without a network: the file is in a crate that tokmeter depends on."""
    registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry/src"
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    for file in registry.glob("*/tiktoken-rs-*/assets/o200k_base.tiktoken"):
        shutil.copy(file, Path(directory) / hashlib.sha1(url.encode()).hexdigest())
    return directory


def body(tokens):
    """The request that clients without a data set of their own send."""
    return json.dumps({"model": MODEL, "stream": True, "max_completion_tokens": tokens, "ignore_eos": True,
                       "stream_options": {"include_usage": True},
                       "messages": [{"role": "user", "content": "word " * 64}]})


class Tokmeter:
    name = "tokmeter"
    writes_records = True
    python = False
    start = [RELEASE / "tokmeter", "--version"]
    environment = None

    def _run(self, url, requests, tokens, directory, *load):
        return [RELEASE / "tokmeter", "profile", "-m", MODEL, "-u", url, "--streaming", "--isl", 64, "--osl", tokens,
                "--request-count", requests, "--num-dataset-entries", 100, "--ui", "none", "--no-server-metrics",
                "--no-gpu-telemetry", "--artifact-dir", directory, *load]

    def closed(self, url, requests, concurrency, tokens, directory):
        return self._run(url, requests, tokens, directory, "--concurrency", concurrency)

    def paced(self, url, requests, rate, tokens, directory):
        return self._run(url, requests, tokens, directory, "--request-rate", rate)


class Aiperf(Tokmeter):
    name = "AIPerf 0.13.0"
    python = True

    def __init__(self):
        self.program = environment_of("aiperf").parent / "aiperf"
        self.start = [self.program, "--version"]
        self.cache = tempfile.TemporaryDirectory()
        self.environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
                            "TIKTOKEN_CACHE_DIR": vocabulary(self.cache.name)}

    def _run(self, url, requests, tokens, directory, *load):
        return [self.program, "profile", "-m", MODEL, "-u", url, "--endpoint-type", "chat", "--streaming",
                "--tokenizer", "builtin", "--isl", 64, "--osl", tokens, "--request-count", requests,
                "--num-dataset-entries", 100, "--ui", "none", "--no-server-metrics", "--no-gpu-telemetry",
                "--artifact-dir", directory, *load]


class Guidellm:
    """Its prompts come from a file, so that it needs no tokenizer from the network."""
    name = "guidellm 0.3.1"
    writes_records = False
    python = True

    def __init__(self):
        self.program = environment_of("guidellm").parent / "guidellm"
        self.start = [self.program, "--version"]
        self.environment = {**os.environ, "HF_HUB_OFFLINE": "1", "GUIDELLM__PREFERRED_ROUTE": "chat_completions"}

    def closed(self, url, requests, concurrency, tokens, directory):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        data = directory / "prompts.jsonl"
        data.write_text("".join(
            json.dumps({"prompt": "word " * 64 + str(n), "prompt_tokens_count": 64, "output_tokens_count": tokens}) + "\n"
            for n in range(requests)))
        return [self.program, "benchmark", "run", "--target", url, "--model", MODEL, "--data", data,
                "--rate-type", "concurrent", "--rate", concurrency, "--max-requests", requests,
                "--disable-console-outputs", "--disable-progress", "--output-path", directory / "report.json"]


class Limit:
    """A hyper client that only stamps chunks: the least a client can do (crates/http/examples/limit.rs)."""
    name = "limit client"
    writes_records = False
    python = False
    start = None
    environment = None

    def closed(self, url, requests, concurrency, tokens, _):
        return [RELEASE / "examples/limit", url.removeprefix("http://"), concurrency, requests, tokens]


class Oha:
    name = "oha"
    writes_records = False
    python = False
    start = ["oha", "--version"]
    environment = None

    def closed(self, url, requests, concurrency, tokens, _):
        return ["oha", "--no-tui", "-n", requests, "-c", concurrency, "-m", "POST", "-T", "application/json",
                "-d", body(tokens), f"{url}/v1/chat/completions"]


class Wrk:
    """wrk knows durations only, so its requests are counted by the server."""
    name = "wrk"
    writes_records = False
    python = False
    start = None
    environment = None
    seconds = 5

    def closed(self, url, requests, concurrency, tokens, directory):
        script = Path(directory) / "post.lua"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
                          f"wrk.body = [==[{body(tokens)}]==]\n")
        return ["wrk", "-t", 1, "-c", concurrency, "-d", f"{self.seconds}s", "-s", script, f"{url}/v1/chat/completions"]


def present(names):
    """The clients this machine has, tokmeter first; `names` keeps only some."""
    found = [Tokmeter(), Limit()]
    found += [Oha()] if shutil.which("oha") else []
    found += [Wrk()] if shutil.which("wrk") else []
    found += [Guidellm(), Aiperf()]
    return [client for client in found if not names or any(word in client.name.lower() for word in names)]
