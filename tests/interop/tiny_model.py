"""tiny_model.py DIR: a model folder without weights (config, byte-level BPE tokenizer, chat template), enough for an
engine's front end and mocker. Deterministic, no network; needs only `tokenizers`."""
import json
import random
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

START, END, PAD = "<|start|>", "<|end|>", "<|pad|>"
TEMPLATE = (
    "{% for m in messages %}" + START + "{{ m['role'] }}\n{{ m['content'] }}" + END + "\n{% endfor %}"
    "{% if add_generation_prompt %}" + START + "assistant\n{% endif %}"
)


def sentences(count=4000):
    """Made-up words, some frequent and most rare, so that merges have a whole vocabulary to learn."""
    draw = random.Random(20)
    words = ["".join(draw.choice("bdfgklmnprstv") + draw.choice("aeiou") for _ in range(draw.randint(1, 4)))
             for _ in range(12000)]
    for _ in range(count):
        frequent = [words[min(int(draw.expovariate(0.02)), 400)] for _ in range(draw.randint(4, 10))]
        yield " ".join(frequent + draw.sample(words, 8)) + "."


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(sentences(), trainers.BpeTrainer(
        vocab_size=8192, special_tokens=[PAD, START, END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tokenizer.save(str(folder / "tokenizer.json"))

    def write(name, value):
        (folder / name).write_text(json.dumps(value, indent=1) + "\n")

    write("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "float32"})
    write("generation_config.json", {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0})
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 4096, "bos_token": PAD, "eos_token": END,
        "pad_token": PAD, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE})


if __name__ == "__main__":
    main()
