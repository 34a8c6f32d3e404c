"""A tokenizer in Hugging Face's files, from ours and to ours.

    vocab.txt   tokenizer_config.json   tokenizer.json

The last holds all that makes ids from a text, for every program that the `tokenizers` library is in. Its rules are
those of BERT, with our limit of ``MAX_CHARACTERS_PER_WORD`` letters a word, and as here a text that holds "[SEP]" makes
no special token. Rare characters can come out otherwise than in tokenization.py: that goes by Python's Unicode tables,
drops no private characters and lower-cases a Greek sigma at the end of a word to its final form.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from intent_bert.bert.tokenization import (
    CLS,
    MAX_CHARACTERS_PER_WORD,
    PAD,
    SEP,
    TOKENIZER_CONFIG_FILE,
    UNKNOWN,
    VOCAB_FILE,
    FullTokenizer,
    read_vocab_lines,
    told_by_checkpoint,
)
from intent_bert.errors import CheckpointError, reason

TOKENIZER_FILE, SPECIAL_TOKENS_FILE = "tokenizer.json", "special_tokens_map.json"
MASK = "[MASK]"
_LARGEST_LENGTH = 1_000_000  # beyond, "model_max_length" means that there is none


def write_tokenizer(tokenizer: FullTokenizer, max_seq_len: int, folder: Path) -> None:
    """Write the three files of a tokenizer into a folder."""
    vocab = "".join(f"{token}\n" for token in tokenizer.vocab_lines)
    (folder / VOCAB_FILE).write_text(vocab, encoding="utf-8", newline="\n")
    (folder / TOKENIZER_FILE).write_text(_tokenizer_of(tokenizer).to_str(pretty=True) + "\n", encoding="utf-8")
    tokens = {"unk_token": UNKNOWN, "sep_token": SEP, "pad_token": PAD, "cls_token": CLS}
    if MASK in tokenizer.vocab:
        tokens["mask_token"] = MASK
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it is; BertTokenizer makes its own
        "do_lower_case": tokenizer.do_lower_case,
        "model_max_length": max_seq_len,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # "[SEP]" in a text is text
        **tokens,
    }
    for name, values in ((TOKENIZER_CONFIG_FILE, config), (SPECIAL_TOKENS_FILE, tokens)):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _tokenizer_of(tokenizer: FullTokenizer) -> Tokenizer:
    wordpiece = models.WordPiece(tokenizer.vocab, unk_token=UNKNOWN, max_input_chars_per_word=MAX_CHARACTERS_PER_WORD)
    made = Tokenizer(wordpiece)
    made.normalizer = normalizers.BertNormalizer(lowercase=tokenizer.do_lower_case)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, tokenizer.cls_id), (SEP, tokenizer.sep_id)],
    )
    made.decoder = decoders.WordPiece(prefix="##")
    return made


def ids_by_file(folder: Path, texts: list[str], max_seq_len: int) -> list[list[int]]:
    """Ids as a program makes them that reads ``tokenizer.json``: ``[CLS] ids... [SEP]``, cut to ``max_seq_len``."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.enable_truncation(max_seq_len)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def read_tokenizer(folder: Path) -> tuple[list[str], bool, int | None]:
    """The vocabulary, whether text is lower-cased, and the longest sentence, as Hugging Face's files say.

    Raises:
        CheckpointError: there is no vocabulary, or the tokenizer follows other rules than BERT's.
    """
    file = folder / TOKENIZER_FILE
    told, _ = told_by_checkpoint(folder)
    config = _read_object(folder / TOKENIZER_CONFIG_FILE)
    whole = _read_object(file)
    normalizer = whole.get("normalizer") or {}
    if whole:
        _check_rules(whole, file)
    for name, value in (("tokenize_chinese_chars", config.get("tokenize_chinese_chars", True)),):
        if value is not True:
            raise CheckpointError(f"{folder}: {name} is {value!r}: only tokenizers with BERT's own rules can be read")
    lower_case = normalizer.get("lowercase", told)
    lower_case = True if lower_case is None else bool(lower_case)
    strip = normalizer.get("strip_accents", config.get("strip_accents"))
    if strip is not None and bool(strip) != lower_case:
        raise CheckpointError(
            f"{folder}: the tokenizer {'strips' if strip else 'keeps'} accents and "
            f"{'lower-cases' if lower_case else 'keeps capitals'}: only both or neither can be read"
        )
    length = config.get("model_max_length")
    longest = int(length) if isinstance(length, int | float) and 3 <= length < _LARGEST_LENGTH else None
    if (folder / VOCAB_FILE).is_file():
        return read_vocab_lines(folder / VOCAB_FILE), lower_case, longest
    if not whole:
        raise CheckpointError(f"{folder} has no vocabulary: neither {VOCAB_FILE} nor {TOKENIZER_FILE}")
    return _vocab_of(whole, file), lower_case, longest


def _check_rules(whole: dict[str, Any], file: Path) -> None:
    """Raise CheckpointError where a ``tokenizer.json`` is not that of a BERT."""
    rules = {
        "model": (whole.get("model") or {}).get("type"),
        "normalizer": (whole.get("normalizer") or {}).get("type"),
        "pre_tokenizer": (whole.get("pre_tokenizer") or {}).get("type"),
    }
    expected = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
    for name, kind in expected.items():
        if rules[name] != kind:
            raise CheckpointError(
                f"{file} has the {name} {rules[name]}: only tokenizers with BERT's {kind} can be read"
            )
    for name in ("clean_text", "handle_chinese_chars"):
        if whole["normalizer"].get(name, True) is not True:
            raise CheckpointError(f"{file}: {name} is off: only tokenizers with BERT's own rules can be read")


def _vocab_of(whole: dict[str, Any], file: Path) -> list[str]:
    vocab = whole["model"].get("vocab")
    usable = isinstance(vocab, dict) and all(
        isinstance(each, int) and 0 <= each < 10_000_000 for each in vocab.values()
    )
    if not usable or not vocab:
        raise CheckpointError(f"{file} has no vocabulary of tokens and their ids")
    lines = [f"[no token {number}]" for number in range(max(vocab.values()) + 1)]  # of a list with repetitions
    for token, number in vocab.items():
        lines[number] = token
    missing = [token for token in (PAD, UNKNOWN, CLS, SEP) if token not in vocab]
    if missing or lines[0] != PAD:
        raise CheckpointError(
            f"{file} is no BERT tokenizer: it lacks {', '.join(missing) or f'{PAD} as its first token'}"
        )
    return lines


def _read_object(path: Path) -> dict[str, Any]:
    """A JSON object; nothing where the file is not there."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"can't read {path}: {reason(error)}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return values
