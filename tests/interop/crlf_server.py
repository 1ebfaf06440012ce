"""crlf_server.py PORT: an OpenAI-style chat server on FastAPI and sse-starlette, whose event streams end lines with CRLF,
spread one payload over several `data:` lines and carry ping comments."""
import asyncio
import json
import sys

import uvicorn
from fastapi import FastAPI, Request
from sse_starlette.sse import EventSourceResponse

WORDS = ["Héllo", " wörld", ",", " 日本", "語", " 😀", " a", "\n", "\r\n", "b", " —", " end"]
app = FastAPI()


def chunk(delta, finish=None, usage=None):
    body = {"id": "chatcmpl-crlf", "object": "chat.completion.chunk", "created": 1, "model": "crlf-model",
            "choices": [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]}
    # indented JSON has line ends of its own: each line becomes a data: line
    return {"data": json.dumps(body | ({"usage": usage} if usage else {}), indent=1, ensure_ascii=False)}


@app.get("/v1/models")
async def models():
    return {"object": "list", "data": [{"id": "crlf-model", "object": "model"}]}


@app.post("/v1/chat/completions")
async def chat(request: Request):
    await request.json()

    async def events():
        yield chunk({"role": "assistant", "content": ""})
        for number, word in enumerate(WORDS):
            await asyncio.sleep(0.01)
            yield {"comment": "a remark between events"} if number == 3 else {"comment": ""}
            yield chunk({"content": word})
        yield chunk({}, finish="stop")
        yield chunk({}, usage={"prompt_tokens": 5, "completion_tokens": len(WORDS), "total_tokens": 5 + len(WORDS)})
        yield {"data": "[DONE]"}

    return EventSourceResponse(events(), ping=1)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
