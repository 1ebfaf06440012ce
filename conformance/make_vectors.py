#!/usr/bin/env python3
"""Writes vectors/*.sse (bytes) and vectors/*.json (what they mean).

The expectations below are written by hand from the WHATWG standard (HTML, "Server-sent events", sections
"Parsing an event stream" and "Interpreting an event stream"); no parser produced them. Run it again after
a change: python3 conformance/make_vectors.py
"""

import json
import pathlib

VECTORS = []


def vector(name, why, stream, events, incomplete=None, retry_ms=None, comments=0):
    """events: data string, or (type, data), or (type, data, last event id)."""
    VECTORS.append((name, why, stream, events, incomplete, retry_ms, comments))


def event(item):
    item = (item,) if isinstance(item, str) else item
    if len(item) == 1:
        item = ("message", item[0])
    kind, data = item[:2]
    return {"type": kind, "data": data, "id": item[2] if len(item) == 3 else ""}


# Line ends
vector("lf", "LF line ends", b"data: one\n\ndata: two\n\n", ["one", "two"])
vector("crlf", "CRLF line ends, the default of sse-starlette", b"data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"])
vector("cr", "CR line ends", b"data: one\r\rdata: two\r\r", ["one", "two"])
vector("mixed-line-ends", "every line may end differently",
       b"data: one\r\n\ndata: two\n\rdata: three\r\r\ndata: four\r\n\r\n", ["one", "two", "three", "four"])
vector("lf-cr-is-two-line-ends", "LF CR is a line end and a blank line, never one line end",
       b"data: a\n\rdata: b\n\r", ["a", "b"])
vector("other-separators-are-text", "VT, FF, NEL, LINE SEPARATOR and PARAGRAPH SEPARATOR end no line",
       "data: a\u000bb\u000cc\u0085d\u2028e\u2029f\n\n".encode(), ["a\u000bb\u000cc\u0085d\u2028e\u2029f"])
vector("many-blank-lines", "a blank line without pending data dispatches nothing",
       b"\n\n\r\n\rdata: a\n\n\n\n\r\r\ndata: b\n\n\n", ["a", "b"])

# Byte-order mark
vector("bom", "one byte-order mark at the start is skipped", b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", ["a", "b"])
vector("bom-crlf", "byte-order mark before CRLF lines", b"\xef\xbb\xbfdata: a\r\n\r\n", ["a"])
vector("bom-twice", "only the first mark is skipped; the second makes an unknown field",
       b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", ["b"])
vector("bom-later", "a mark inside the stream belongs to the field name", b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n",
       ["a", "c"])
vector("bom-in-data", "a mark inside data is a character", b"data: \xef\xbb\xbfa\n\n", ["\ufeffa"])
vector("bom-half", "the first bytes of a mark alone are no mark", b"\xef\xbbdata: a\n\ndata: b\n\n", ["b"])
vector("bom-only", "a stream of nothing but a mark", b"\xef\xbb\xbf", [])

# data
vector("data-without-space", "the blank after the colon is optional", b'data:{"a":1}\n\ndata: {"a":2}\n\n',
       ['{"a":1}', '{"a":2}'])
vector("data-one-space-removed", "exactly one leading blank is removed", b"data:  two\n\ndata:   three\n\n",
       [" two", "  three"])
vector("data-tab-kept", "a tab is not a blank", b"data:\ta\n\n", ["\ta"])
vector("data-trailing-space-kept", "nothing is trimmed at the end", b"data: a  \n\n", ["a  "])
vector("data-colons", "only the first colon separates", b"data: a: b:c\n\ndata::\n\n", ["a: b:c", ":"])
vector("data-empty", "an empty data line is an event with empty data", b"data:\n\ndata: \n\ndata\n\n", ["", "", ""])
vector("data-two-lines", "data lines are joined by LF", b"data: one\ndata: two\n\n", ["one\ntwo"])
vector("data-lines-crlf", "joined by LF whatever the line end was", b"data: one\r\ndata:two\r\ndata: three\r\n\r\n",
       ["one\ntwo\nthree"])
vector("data-empty-lines-joined", "empty data lines count when joined", b"data\ndata\n\ndata: a\ndata\n\ndata:\ndata: b\n\n",
       ["\n", "a\n", "\nb"])
vector("data-json-over-lines", "a JSON text spread over data lines", b'data: {"text":\ndata: "hello",\ndata: "n":1}\n\n',
       ['{"text":\n"hello",\n"n":1}'])
vector("data-nul", "NUL in data is a character", b"data: a\x00b\n\n", ["a\x00b"])
vector("data-long", "a line longer than one read", b"data: " + b"0123456789" * 400 + b"\n\ndata: end\n\n",
       ["0123456789" * 400, "end"])

# event, id, retry
vector("event-type", "event: names the type, for one event only", b"event: add\ndata: 1\n\ndata: 2\n\n", [("add", "1"), "2"])
vector("event-after-data", "the order of fields does not matter", b"data: 1\nevent: add\n\n", [("add", "1")])
vector("event-last-wins", "a second event: replaces the first", b"event: a\nevent: b\ndata: 1\n\n", [("b", "1")])
vector("event-empty", "an empty event: means message", b"event: a\nevent:\ndata: 1\n\nevent\ndata: 2\n\n", ["1", "2"])
vector("event-without-data", "no data, no event, and the type is forgotten", b"event: a\n\ndata: 1\n\n", ["1"])
vector("event-without-space", "the blank after event: is optional", b"event:add\ndata:1\n\n", [("add", "1")])
vector("id-stays", "the last id holds for later events", b"id: 7\ndata: a\n\ndata: b\n\nid: 8\ndata: c\n\n",
       [("message", "a", "7"), ("message", "b", "7"), ("message", "c", "8")])
vector("id-empty-resets", "an empty id clears it", b"id: 7\ndata: a\n\nid\ndata: b\n\nid:\ndata: c\n\n",
       [("message", "a", "7"), "b", "c"])
vector("id-with-nul", "an id with NUL is ignored", b"id: 7\ndata: a\n\nid: 8\x00\ndata: b\n\n",
       [("message", "a", "7"), ("message", "b", "7")])
vector("id-without-data", "an id counts even where no event is dispatched", b"id: 7\n\ndata: a\n\n", [("message", "a", "7")])
vector("id-after-data", "an id after data is of the same event", b"data: a\nid: 7\n\n", [("message", "a", "7")])
vector("retry", "digits set the reconnection time", b"retry: 2500\n\ndata: a\n\n", ["a"], retry_ms=2500)
vector("retry-invalid", "anything but ASCII digits is ignored", b"retry: 10\nretry: -1\nretry: 1.5\nretry: 2s\nretry:\nretry: +3\ndata: a\n\n",
       ["a"], retry_ms=10)

# comments and unknown fields
vector("comments", "comment lines are ignored", b": ping\n\n:\n:no blank\ndata: a\n: inside\ndata: b\n\n", ["a\nb"], comments=4)
vector("comments-only", "keep-alive without events", b":\n\n:\n\n: ping - 2026-11-22 05:00:00\n\n", [], comments=3)
vector("ping-crlf", "pings between CRLF events", b"data: a\r\n\r\n: ping\r\n\r\ndata: b\r\n\r\n", ["a", "b"], comments=1)
vector("unknown-fields", "unknown fields are ignored", b"foo: 1\nbar\ndata: a\ndat: b\ndatax: c\n\n", ["a"])
vector("names-are-exact", "case and blanks matter in field names", b"Data: a\nDATA: b\n data: c\ndata : d\ndata: e\n\n", ["e"])

# end of stream
vector("empty", "no bytes at all", b"", [])
vector("no-final-blank-line", "the standard discards it; a measuring client wants to see it",
       b"data: a\n\ndata: [DONE]\n", ["a"], incomplete="[DONE]")
vector("no-final-line-end", "nor does the last line end", b"data: a\n\ndata: [DONE]", ["a"], incomplete="[DONE]")
vector("no-final-blank-line-crlf", "the same with CRLF", b"data: a\r\n\r\ndata: b\r\n", ["a"], incomplete="b")
vector("no-final-blank-line-cr", "the same with CR", b"data: a\r\rdata: b\r", ["a"], incomplete="b")
vector("cut-in-json", "cut inside a JSON text", b'data: {"a":1}\n\ndata: {"a":', ['{"a":1}'], incomplete='{"a":')
vector("cut-in-field-name", "cut before the colon: no data", b"data: a\n\ndat", ["a"])
vector("cut-after-event-line", "a type without data is nothing", b"data: a\n\nevent: end\n", ["a"])
vector("cut-in-second-line", "cut in the second data line", b"data: one\ndata: tw", [], incomplete="one\ntw")
vector("cut-with-type-and-id", "type and id of an incomplete event", b"id: 7\nevent: add\ndata: 1\n", [],
       incomplete=("add", "1", "7"))
vector("cut-in-utf8", "cut inside a character", b"data: a\n\ndata: \xe2\x82", ["a"], incomplete="\ufffd")

# UTF-8
vector("utf8", "one to four bytes for a character", "data: aä€😀\n\ndata: 日本語\r\n\r\n".encode(), ["aä€😀", "日本語"])
vector("utf8-invalid", "invalid bytes become U+FFFD", b"data: a\xffb\xc3(\n\ndata: \xf0\x9f\x98\n\n", ["a\ufffdb\ufffd(", "\ufffd"])
vector("utf8-type-and-id", "type and id are text too", "event: käse\nid: ñ\ndata: 1\n\n".encode(), [("käse", "1", "ñ")])

# What real inference servers send
CHAT = ('{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,'
        '"finish_reason":%s}]}')
vector("llm-chat", "chat completion: role, text, finish, usage, end marker",
       ("".join("data: " + x + "\n\n" for x in [
           CHAT % ('{"role":"assistant","content":""}', "null"), CHAT % ('{"content":"Hel"}', "null"),
           CHAT % ('{"content":"lo"}', "null"), CHAT % ("{}", '"stop"'),
           '{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
           "[DONE]"])).encode(),
       [CHAT % ('{"role":"assistant","content":""}', "null"), CHAT % ('{"content":"Hel"}', "null"),
        CHAT % ('{"content":"lo"}', "null"), CHAT % ("{}", '"stop"'),
        '{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}', "[DONE]"])
vector("llm-pings-before-first-token", "pings during a long prefill",
       b':\n\n:\n\ndata: {"choices":[]}\n\n: ping - Sun, 22 Nov 2026\n\ndata: [DONE]\n\n', ['{"choices":[]}', "[DONE]"], comments=3)
vector("llm-error-then-done", "an in-band error, then the end marker as if nothing had happened",
       b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"error":{"message":"gone","code":503}}\n\ndata: [DONE]\n\n',
       ['{"choices":[{"delta":{"content":"a"}}]}', '{"error":{"message":"gone","code":503}}', "[DONE]"])
vector("llm-event-error", "an error as an event type",
       b'event: error\ndata: {"message":"overloaded"}\n\n', [("error", '{"message":"overloaded"}')])
vector("llm-null", "a batch that starts with null", b'data: null\n\ndata: {"choices":[]}\n\n', ["null", '{"choices":[]}'])
vector("llm-responses", "typed events with event: lines",
       b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
       b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
       [("response.output_text.delta", '{"type":"response.output_text.delta","delta":"Hi"}'),
        ("response.completed", '{"type":"response.completed"}')])
vector("llm-messages", "typed events with pings in between",
       b'event: message_start\ndata: {"type":"message_start"}\n\nevent: ping\ndata: {"type": "ping"}\n\n'
       b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
       [("message_start", '{"type":"message_start"}'), ("ping", '{"type": "ping"}'), ("message_stop", '{"type":"message_stop"}')])
vector("llm-crlf-utf8", "CRLF, no blank, characters of several bytes",
       'data:{"choices":[{"delta":{"content":"Größe 😀"}}]}\r\n\r\ndata:[DONE]\r\n\r\n'.encode(),
       ['{"choices":[{"delta":{"content":"Größe 😀"}}]}', "[DONE]"])


def main():
    folder = pathlib.Path(__file__).parent / "vectors"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, why, stream, events, incomplete, retry_ms, comments in VECTORS:
        (folder / f"{name}.sse").write_bytes(stream)
        meaning = {"description": why, "events": [event(item) for item in events],
                   "incomplete": event(incomplete) if incomplete is not None else None,
                   "retry_ms": retry_ms, "comments": comments}
        (folder / f"{name}.json").write_text(json.dumps(meaning, indent=1, ensure_ascii=True) + "\n")
    print(f"{len(VECTORS)} vectors")


if __name__ == "__main__":
    main()
