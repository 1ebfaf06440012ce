"""clients.py DIRECT THROUGH: the official openai and anthropic clients, once straight to the server and once through the
gateway, with the same request ids (the simulator answers the same id with the same words): what they hand to a program
must be equal, chunk by chunk, and so must the errors they raise."""
import sys

import anthropic
import openai

from tally import Tally, run

MESSAGES = [{"role": "user", "content": "Tell me about gateways, please."}]
MODEL = "sim-model"


def openai_client(base):
    return openai.OpenAI(base_url=f"{base}/v1", api_key="test-key", max_retries=0, timeout=20)


def anthropic_client(base):
    return anthropic.Anthropic(base_url=base, api_key="test-key", max_retries=0, timeout=20)


def named(number):
    return {"X-Request-ID": f"00000000-0000-4000-8000-{number:012d}"}


def chat_stream(base):
    stream = openai_client(base).chat.completions.create(
        model=MODEL, messages=MESSAGES, max_completion_tokens=12, stream=True, stream_options={"include_usage": True},
        extra_headers=named(1))
    chunks = list(stream)
    words = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    return {"words": words, "finish": [c.finish_reason for chunk in chunks for c in chunk.choices], "usage": chunks[-1].usage.model_dump()}


def chat(base):
    answer = openai_client(base).chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=12, extra_headers=named(2))
    return {"text": answer.choices[0].message.content, "usage": answer.usage.model_dump()}


def completion_stream(base):
    stream = openai_client(base).completions.create(model=MODEL, prompt="Once", max_tokens=8, stream=True, extra_headers=named(3))
    return {"words": [choice.text for chunk in stream for choice in chunk.choices]}


def responses_stream(base):
    stream = openai_client(base).responses.create(model=MODEL, input="Once", max_output_tokens=8, stream=True, extra_headers=named(4))
    events = list(stream)
    return {"types": [event.type for event in events],
            "words": [event.delta for event in events if event.type == "response.output_text.delta"]}


def embeddings(base):
    answer = openai_client(base).embeddings.create(model=MODEL, input=["one", "two"], encoding_format="float", extra_headers=named(5))
    return {"sizes": [len(item.embedding) for item in answer.data]}


def messages_stream(base):
    with anthropic_client(base).messages.stream(model=MODEL, max_tokens=9, messages=MESSAGES, extra_headers=named(6)) as stream:
        words = list(stream.text_stream)
        last = stream.get_final_message()
    return {"words": words, "stop": last.stop_reason, "usage": {"in": last.usage.input_tokens, "out": last.usage.output_tokens}}


def messages(base):
    answer = anthropic_client(base).messages.create(model=MODEL, max_tokens=9, messages=MESSAGES, extra_headers=named(7))
    return {"text": "".join(part.text for part in answer.content), "stop": answer.stop_reason}


def scripted_error(script):
    """The error an OpenAI client raises when the server is told to fail."""
    def call(base):
        try:
            stream = openai_client(base).chat.completions.create(
                model=MODEL, messages=MESSAGES, max_completion_tokens=8, stream=True, extra_headers=named(8) | {"X-Sim-Script": script})
            words = [choice.delta.content for chunk in stream for choice in chunk.choices]
        except openai.APIStatusError as error:
            return {"raised": type(error).__name__, "status": error.status_code, "body": error.body}
        except openai.APIError as error:
            return {"raised": type(error).__name__, "message": error.message}
        except Exception as error:  # a cut stream surfaces as an error of the client's transport
            return {"raised": type(error).__name__}
        return {"words": words}
    return call


CALLS = [
    ("openai, chat stream", chat_stream), ("openai, chat", chat), ("openai, completion stream", completion_stream),
    ("openai, responses stream", responses_stream), ("openai, embeddings", embeddings),
    ("anthropic, message stream", messages_stream), ("anthropic, message", messages),
    ("openai, rate limited", scripted_error("status:429")), ("openai, server error", scripted_error("status:500")),
    ("openai, error event in the stream", scripted_error("error-event:3")),
    ("openai, stream cut", scripted_error("close-mid-stream:3")),
]


def main():
    direct, through = sys.argv[1:3]
    tally = Tally()
    for name, call in CALLS:
        wanted, got = call(direct), call(through)
        tally.check(f"clients: {name}", wanted == got and bool(wanted), str(got) if wanted == got else f"direct {wanted}, through {got}")
    tally.close()


if __name__ == "__main__":
    run(main)
