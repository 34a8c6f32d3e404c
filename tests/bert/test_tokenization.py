"""The tokenizer: cases worked by hand, Google's code token by token, Hugging Face's ids, and refusals."""

import hashlib
import importlib.metadata
import importlib.util
import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from references.nasty_texts import NASTY

from intent_bert.bert.tokenization import (
    CHARACTERS_PER_TOKEN,
    FullTokenizer,
    checkpoint_lower_case,
    read_vocab_lines,
    tokenizer_config,
)
from intent_bert.errors import CheckpointError, SettingsError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "jose", "album", "un", "##aff", "##able"]
WORDS += [*"'!,[]", "播", "放", "a", "##a", "sep", "σας", "José", "Play"]
DATA_FILES = ("snips/train.csv", "snips/test.csv", "banking77/train.csv", "banking77/test.csv")
REFERENCES = Path(__file__).parent.parent / "references"

# Where Hugging Face's tokenizer is known to give other ids, and why ours does not follow it.
LONG_WORDS = "words of 101 to 200 characters are split in Google's code, one [UNK] in Hugging Face's"
IN_A_TEXT = "a sentence that spells [SEP] must not end itself; Google's code splits the brackets off as well"
CHARACTER_BY_CHARACTER = "it lower-cases letter by letter, so that a final sigma stays as no Greek writes it"
DROPPED = "it drops private-use characters, Google's code makes the word unknown"
DIFFERENT_FROM_HUGGINGFACE = {
    "uncased": {
        "101 letters": LONG_WORDS,
        "199 letters": LONG_WORDS,
        "200 letters": LONG_WORDS,
        "special tokens": IN_A_TEXT,
        "final sigma": CHARACTER_BY_CHARACTER,
        "private use": DROPPED,
    },
    "cased": {
        "101 letters": LONG_WORDS,
        "199 letters": LONG_WORDS,
        "200 letters": LONG_WORDS,
        "special tokens": IN_A_TEXT,
        "private use": DROPPED,
    },
}


def write_vocab(folder: Path, words: list[str] = WORDS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder / "vocab.txt"


@pytest.fixture
def uncased(tmp_path: Path) -> FullTokenizer:
    return FullTokenizer(write_vocab(tmp_path))


@pytest.fixture
def cased(tmp_path: Path) -> FullTokenizer:
    return FullTokenizer(write_vocab(tmp_path), do_lower_case=False)


# --- worked by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Play José's álbum!", ["play", "jose", "'", "s", "album", "!"]),
        ("cafe\u0301", ["cafe"]),
        ("ah播放音乐zz", ["ah", "播", "放", "音", "乐", "zz"]),
        ("\u3400\U00020000\uf900", ["\u3400", "\U00020000", "\u8c48"]),  # a compatibility ideograph decomposes
        ("ポップス", ["ホッフス"]),  # kana are no ideographs; their voicing marks go like accents
        ("pl\x00ay\x01 mu\ufffdsic\x7f", ["play", "music"]),
        ("pl\u200bay \ufeffnow", ["play", "now"]),
        ("play\r\nmusic\tnow\n", ["play", "music", "now"]),
        ("play\x0bmusic", ["playmusic"]),  # a control character, and no white space to Google's code
        ("play\u2028music\u2029now", ["play", "music", "now"]),
        ("play\u00a0some\u3000music", ["play", "some", "music"]),
        ("end [SEP] it", ["end", "[", "sep", "]", "it"]),
        ("play 😀now", ["play", "😀now"]),
        ("“play”—¿qué?", ["“", "play", "”", "—", "¿", "que", "?"]),
        ("$5^2`x~", ["$", "5", "^", "2", "`", "x", "~"]),
        ("€5", ["€5"]),  # a currency sign beyond ASCII is no punctuation
        ("ΣΑΣ ΣΑΣ.", ["σας", "σας", "."]),
        ("İSTANBUL", ["istanbul"]),
        ("Straße", ["straße"]),
        ("", []),
        (" \t\n ", []),
    ],
)
def test_words_of_an_uncased_text(uncased: FullTokenizer, text: str, words: list[str]) -> None:
    assert uncased.basic_tokenize(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Play José's ÁLBUM!", ["Play", "José", "'", "s", "ÁLBUM", "!"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("ΣΑΣ", ["ΣΑΣ"]),
        ("A\x01B\u2028C", ["AB", "C"]),
        ("播A", ["播", "A"]),
    ],
)
def test_words_of_a_cased_text(cased: FullTokenizer, text: str, words: list[str]) -> None:
    assert cased.basic_tokenize(text) == words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("unaffable JOSÉ", ["un", "##aff", "##able", "jose"]),
        ("unaffably", ["[UNK]"]),  # one unknown part makes the whole word unknown
        ("播放!", ["播", "放", "!"]),
        ("play [SEP] play", ["play", "[", "sep", "]", "play"]),
        ("[CLS]", ["[", "[UNK]", "]"]),
        ("##a", ["[UNK]", "[UNK]", "a"]),  # the sign of a part can't be typed
        ("😀 play", ["[UNK]", "play"]),
        ("ΣΑΣ", ["σας"]),
        ("a" * 3, ["a", "##a", "##a"]),
        ("a" * 199, ["a"] + ["##a"] * 198),
        ("a" * 200, ["a"] + ["##a"] * 199),
        ("a" * 201, ["[UNK]"]),
        ("a" * 201 + " play", ["[UNK]", "play"]),
        ("a" + "\u0301" * 300, ["a"]),  # the marks go before the letters are counted
        ("", []),
    ],
)
def test_tokens(uncased: FullTokenizer, text: str, tokens: list[str]) -> None:
    assert uncased.tokenize(text) == tokens


def test_cased_tokens(cased: FullTokenizer) -> None:
    assert cased.tokenize("Play José play jose JOSÉ") == ["Play", "José", "play", "jose", "[UNK]"]


def test_half_a_character_is_an_unknown_word_and_no_crash(uncased: FullTokenizer) -> None:
    assert uncased.tokenize("play \ud83c album\udfff") == ["play", "[UNK]", "[UNK]"]
    assert uncased.encode(["\udc80"], 8) == ([[2, 1, 3]], 0)


# --- the methods of bert-for-tf2 -----------------------------------------------------------------------------------


def test_ids_and_tokens_are_places_in_the_vocabulary(uncased: FullTokenizer) -> None:
    tokens = ["[CLS]", "play", "##able", "[SEP]"]
    assert uncased.convert_tokens_to_ids(tokens) == [2, 5, 10, 3]
    assert uncased.convert_ids_to_tokens(np.array([2, 5, 10, 3])) == tokens
    assert uncased.vocab == {word: index for index, word in enumerate(WORDS)}
    assert uncased.inv_vocab[5] == "play"


def test_unknown_tokens_and_ids_are_key_errors(uncased: FullTokenizer) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        uncased.convert_tokens_to_ids(["play", "nowhere"])
    with pytest.raises(KeyError, match="999"):
        uncased.convert_ids_to_tokens([5, 999])


# --- encode --------------------------------------------------------------------------------------------------------


def test_encode_cuts_tokens_and_never_cls_or_sep(uncased: FullTokenizer) -> None:
    texts = ["play album", "play jose album !", "unaffable unaffable", ""]
    ids, cut = uncased.encode(texts, 5)
    assert ids == [[2, 5, 7, 3], [2, 5, 6, 7, 3], [2, 8, 9, 10, 3], [2, 3]]
    assert cut == 2


@pytest.mark.parametrize(("max_seq_len", "cut"), [(3, 1), (4, 1), (5, 0), (6, 0)])
def test_a_text_that_just_fits_is_not_cut(uncased: FullTokenizer, max_seq_len: int, cut: int) -> None:
    ids, counted = uncased.encode(["play jose album"], max_seq_len)
    assert (len(ids[0]), counted) == (min(max_seq_len, 5), cut)


def test_encode_of_nothing(uncased: FullTokenizer) -> None:
    assert uncased.encode([], 8) == ([], 0)


@pytest.mark.parametrize("max_seq_len", [2, 0, -1])
def test_encode_needs_room_for_a_token(uncased: FullTokenizer, max_seq_len: int) -> None:
    with pytest.raises(SettingsError) as error:
        uncased.encode(["play"], max_seq_len)
    assert str(error.value) == f"max_seq_len must be at least 3 ([CLS], one token, [SEP]), not {max_seq_len}"


def test_a_very_long_text_is_read_only_as_far_as_needed(
    uncased: FullTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    spaced = uncased.spaced
    monkeypatch.setattr(uncased, "spaced", lambda text: read.append(len(text)) or spaced(text))
    ids, cut = uncased.encode(["play " * 1_000_000, " " * 10_000 + "play"], 10)
    assert read == [8 * CHARACTERS_PER_TOKEN] * 2
    assert ids == [[2, *[5] * 8, 3], [2, 3]]
    assert cut == 2  # the second lost its only word, and is counted


# --- the vocabulary ------------------------------------------------------------------------------------------------


def test_a_missing_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        FullTokenizer(tmp_path / "vocab.txt")
    assert str(error.value) == f"no vocabulary at {tmp_path}/vocab.txt: a checkpoint folder needs its vocab.txt"


def test_a_vocabulary_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xe9t\xe9\n")
    with pytest.raises(CheckpointError) as error:
        FullTokenizer(tmp_path / "vocab.txt")
    assert str(error.value) == f"{tmp_path}/vocab.txt is no vocabulary: byte 6 is not UTF-8"


def test_a_vocabulary_without_the_special_tokens(tmp_path: Path) -> None:
    vocab_file = write_vocab(tmp_path, ["[PAD]", "[UNK]", "<s>", "play"])
    with pytest.raises(CheckpointError) as error:
        FullTokenizer(vocab_file)
    assert str(error.value) == f"{vocab_file} is no BERT vocabulary: it lacks [CLS], [SEP]"


def test_a_vocabulary_that_does_not_begin_with_padding(tmp_path: Path) -> None:
    vocab_file = write_vocab(tmp_path, ["[UNK]", "[PAD]", "[CLS]", "[SEP]"])
    with pytest.raises(CheckpointError, match=r"its first line must be \[PAD\], the id 0 that pads"):
        FullTokenizer(vocab_file)


def test_line_ends_of_any_system_and_no_last_one(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(WORDS).encode())
    assert read_vocab_lines(tmp_path / "vocab.txt") == WORDS


# --- casing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lower_case"),
    [
        ("uncased_L-12_H-768_A-12", True),
        ("cased_L-12_H-768_A-12", False),
        ("wwm_cased_L-24_H-1024_A-16", False),
        ("multi_cased_L-12_H-768_A-12", False),
        ("multilingual_L-12_H-768_A-12", True),
        ("chinese_L-12_H-768_A-12", True),
        ("bert-base-cased", False),
        ("showcased", True),
        ("mine", True),
    ],
)
def test_casing_told_by_the_name(tmp_path: Path, name: str, lower_case: bool) -> None:
    tokenizer = FullTokenizer(write_vocab(tmp_path / name))
    assert tokenizer.do_lower_case is lower_case
    assert tokenizer.tokenize("Play") == (["play"] if lower_case else ["Play"])


def test_tokenizer_config_wins_over_the_name(tmp_path: Path) -> None:
    folder = write_vocab(tmp_path / "uncased_mine").parent
    (folder / "tokenizer_config.json").write_text(tokenizer_config(False), encoding="utf-8")
    assert checkpoint_lower_case(folder) is False
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}', encoding="utf-8")
    assert checkpoint_lower_case(folder) is True  # silent: the name has the word


@pytest.mark.parametrize("flag", [True, False])
def test_the_flag_counts_where_the_checkpoint_is_silent(tmp_path: Path, flag: bool) -> None:
    assert FullTokenizer(write_vocab(tmp_path / "mine"), do_lower_case=flag).do_lower_case is flag


def test_a_flag_that_contradicts_the_name(tmp_path: Path) -> None:
    vocab_file = write_vocab(tmp_path / "cased_L-12")
    with pytest.raises(CheckpointError) as error:
        FullTokenizer(vocab_file, do_lower_case=True)
    assert str(error.value) == (
        "do_lower_case=True contradicts the checkpoint: the name cased_L-12 says do_lower_case=False; "
        "leave the flag out"
    )


def test_a_flag_that_contradicts_the_tokenizer_config(tmp_path: Path) -> None:
    vocab_file = write_vocab(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    with pytest.raises(CheckpointError) as error:
        FullTokenizer(vocab_file, do_lower_case=False)
    assert str(error.value) == (
        f"do_lower_case=False contradicts the checkpoint: {tmp_path}/tokenizer_config.json says do_lower_case=True; "
        "leave the flag out"
    )
    assert FullTokenizer(vocab_file, do_lower_case=True).do_lower_case is True


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_broken_tokenizer_config(tmp_path: Path, text: str) -> None:
    vocab_file = write_vocab(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json is not valid JSON: mend it or delete it"):
        FullTokenizer(vocab_file)


# --- Google's tokenizer, as bert-for-tf2 carries it -----------------------------------------------------------------


@pytest.fixture(scope="module")
def google() -> ModuleType:
    """The one module of bert-for-tf2 that has no Keras in it; ``import bert`` itself fails on current Keras."""
    try:
        distribution = importlib.metadata.distribution("bert-for-tf2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("bert-for-tf2 is not installed: pip install bert-for-tf2==0.14.9")
    path = distribution.locate_file("bert/tokenization/bert_tokenization.py")
    spec = importlib.util.spec_from_file_location("google_tokenization", str(path))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_texts(data: Path, name: str) -> list[str]:
    if not (data / name).is_file():
        pytest.skip(f"{name} is not in the data folder")
    return list(pd.read_csv(data / name, keep_default_na=False)["text"])


def random_texts(number: int, seed: int) -> Iterator[str]:
    """Texts of characters from all of Unicode and, more often, from the places where the rules differ."""
    rng = random.Random(seed)
    places = [(0x20, 0x7E)] * 4 + [(0x00, 0x24F), (0x300, 0x36F), (0x370, 0x6FF), (0x900, 0x11FF), (0x1E00, 0x20CF)]
    places += [(0x2E80, 0x9FFF), (0xA000, 0xD7FF), (0xE000, 0xFFFF), (0x1F000, 0x1FAFF), (0x20000, 0x2FA1F)]
    places += [(0x0, 0x10FFFF)]
    for _ in range(number):
        first, last = rng.choice(places)
        mixed = rng.random() < 0.5
        letters = []
        for _ in range(rng.randint(0, 30)):
            low, high = rng.choice(places) if mixed else (first, last)
            code_point = rng.randint(low, high)
            letters.append("x" if 0xD800 <= code_point <= 0xDFFF else chr(code_point))
            letters.append(" " * (rng.random() < 0.15))
        yield "".join(letters)


def plain_vocab(real_checkpoint: Path, folder: Path) -> Path:
    """The real vocabulary in a folder that says nothing of casing."""
    (folder / "vocab.txt").write_bytes((real_checkpoint / "vocab.txt").read_bytes())
    return folder / "vocab.txt"


def assert_google_agrees(google: ModuleType, vocab_file: Path, do_lower_case: bool, texts: list[str]) -> None:
    ours = FullTokenizer(vocab_file, do_lower_case=do_lower_case)
    theirs = google.FullTokenizer(str(vocab_file), do_lower_case=do_lower_case)
    assert theirs.vocab == ours.vocab
    for text in texts:
        assert ours.tokenize(text) == theirs.tokenize(text), ascii(text)


@pytest.mark.real_weights
@pytest.mark.parametrize("do_lower_case", [True, False])
def test_nasty_and_random_texts_as_google_reads_them(
    google: ModuleType, real_checkpoint: Path, tmp_path: Path, do_lower_case: bool
) -> None:
    vocab_file = plain_vocab(real_checkpoint, tmp_path)
    texts = [*NASTY.values(), *random_texts(4_000, seed=int(do_lower_case)), "half \ud83c a character"]
    assert_google_agrees(google, vocab_file, do_lower_case, texts)


@pytest.mark.real_weights
def test_every_code_point_as_google_reads_it(google: ModuleType, real_checkpoint: Path, tmp_path: Path) -> None:
    """Each character between two letters, its effect on the words included; both casings."""
    vocab_file = plain_vocab(real_checkpoint, tmp_path)
    for do_lower_case in (True, False):
        ours = FullTokenizer(vocab_file, do_lower_case=do_lower_case)
        theirs = google.BasicTokenizer(do_lower_case=do_lower_case)
        for start in range(0, 0x30000, 64):
            block = range(start, start + 64)
            text = " ".join(f"a{chr(code_point)}B" for code_point in block if not 0xD800 <= code_point <= 0xDFFF)
            assert ours.basic_tokenize(text) == theirs.tokenize(text), hex(start)


@pytest.mark.real_weights
@pytest.mark.parametrize("name", DATA_FILES)
def test_real_sentences_as_google_reads_them(
    google: ModuleType, real_checkpoint: Path, real_data: Path, tmp_path: Path, name: str
) -> None:
    texts = read_texts(real_data, name)
    assert len(texts) >= 700
    for do_lower_case in (True, False):
        assert_google_agrees(google, plain_vocab(real_checkpoint, tmp_path), do_lower_case, texts)


# --- Hugging Face's tokenizer, through scripts/make_reference_vectors.py ---------------------------------------------


@pytest.fixture(scope="module")
def huggingface() -> dict:
    return json.loads((REFERENCES / "huggingface_tokens.json").read_text(encoding="utf-8"))


@pytest.mark.real_weights
@pytest.mark.parametrize("name", DATA_FILES)
def test_real_sentences_as_hugging_face_reads_them(
    huggingface: dict, real_checkpoint: Path, real_data: Path, name: str
) -> None:
    tokenizer = FullTokenizer(real_checkpoint / "vocab.txt")
    flat: list[int] = []
    for text in read_texts(real_data, name):
        flat += [*tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)), -1]
    assert hashlib.sha256(np.array(flat, "<i4").tobytes()).hexdigest() == huggingface["sha256"][name]


@pytest.mark.real_weights
@pytest.mark.parametrize("casing", ["uncased", "cased"])
def test_nasty_texts_as_hugging_face_reads_them(
    huggingface: dict, real_checkpoint: Path, tmp_path: Path, casing: str
) -> None:
    tokenizer = FullTokenizer(plain_vocab(real_checkpoint, tmp_path), do_lower_case=casing == "uncased")
    assert set(huggingface[casing]) == set(NASTY), "run scripts/make_reference_vectors.py again"
    ids = {name: tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)) for name, text in NASTY.items()}
    different = {name for name in NASTY if ids[name] != huggingface[casing][name]}
    assert different == set(DIFFERENT_FROM_HUGGINGFACE[casing])


def test_the_references_say_what_made_them(huggingface: dict) -> None:
    assert set(huggingface["versions"]) == {"torch", "transformers", "tokenizers"}
