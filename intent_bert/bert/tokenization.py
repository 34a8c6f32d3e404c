"""Text to WordPiece ids, with Google's results at the speed of the Rust `tokenizers` library.

    text      "Play José's álbum!"
    words     play jose ' s album !                      (FullTokenizer.basic_tokenize)
    tokens    play jose ' s album !                      (FullTokenizer.tokenize; rare words split: nola -> no ##la)
    ids       2377 4560 1005 1055 2201 999               (FullTokenizer.convert_tokens_to_ids)
    encode    [CLS] 2377 4560 1005 1055 2201 999 [SEP]   (FullTokenizer.encode: what a BertModelLayer reads)

The rules for words are those of Google's BERT release (``BasicTokenizer`` in ``tokenization.py``), character by
character from the same Unicode categories; the greedy longest-match-first WordPiece search is done in Rust. The
special tokens are never made from a text: a sentence that holds "[SEP]" gives ``[ sep ]``.

This module knows nothing of padding, batches or intents.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from os import PathLike
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from intent_bert.errors import CheckpointError, SettingsError

PAD, UNKNOWN, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
MAX_CHARACTERS_PER_WORD = 200  # a longer word is one [UNK], as in Google's code (Hugging Face: 100)
CHARACTERS_PER_TOKEN = 64  # texts are cut to this many characters for every token that will be kept

VOCAB_FILE, TOKENIZER_CONFIG_FILE = "vocab.txt", "tokenizer_config.json"

_LONE_SURROGATE = 0xFFFF  # stands for half a character, which Rust has no strings for: an unknown letter like it
CJK_BLOCKS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class _CharacterMap(dict):
    """A ``str.translate`` table that fills itself: code point -> replacement (None drops it)."""

    def __missing__(self, code_point: int) -> str | int | None:
        self[code_point] = replacement = self.replace(code_point)
        return replacement

    def replace(self, code_point: int) -> str | int | None:
        raise NotImplementedError


class _Clean(_CharacterMap):
    """Drops control characters, makes every white space a blank, sets blanks around Chinese characters."""

    def replace(self, code_point: int) -> str | int | None:
        character, category = chr(code_point), unicodedata.category(chr(code_point))
        if character in "\t\n\r" or category == "Zs":
            return " "
        if code_point in (0, 0xFFFD) or category in ("Cc", "Cf"):
            return None
        if category == "Cs":
            return _LONE_SURROGATE
        if any(first <= code_point <= last for first, last in CJK_BLOCKS):
            return f" {character} "
        return code_point


class _StripAccents(_CharacterMap):
    """Drops combining marks (of a text in NFD form)."""

    def replace(self, code_point: int) -> int | None:
        return None if unicodedata.category(chr(code_point)) == "Mn" else code_point


class _SplitPunctuation(_CharacterMap):
    """Sets blanks around punctuation; every ASCII sign that is no letter or digit counts."""

    def replace(self, code_point: int) -> str | int:
        character = chr(code_point)
        ascii_sign = 33 <= code_point <= 126 and not character.isalnum()
        if ascii_sign or unicodedata.category(character).startswith("P"):
            return f" {character} "
        return code_point


_CLEAN, _STRIP_ACCENTS, _SPLIT_PUNCTUATION = _Clean(), _StripAccents(), _SplitPunctuation()


def read_vocab_lines(vocab_file: str | PathLike) -> list[str]:
    """Read a ``vocab.txt``, one token a line; the place in the list is the token's id.

    Raises:
        CheckpointError: the file is missing, is not UTF-8, or lacks one of the special tokens.
    """
    path = Path(vocab_file)
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except FileNotFoundError:
        raise CheckpointError(f"no vocabulary at {path}: a checkpoint folder needs its vocab.txt") from None
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no vocabulary: byte {error.start} is not UTF-8") from None
    if lines[-1] == "":
        lines.pop()
    lines = [line.strip() for line in lines]
    missing = [token for token in (PAD, UNKNOWN, CLS, SEP) if token not in lines]
    if missing:
        raise CheckpointError(f"{path} is no BERT vocabulary: it lacks {', '.join(missing)}")
    if lines[0] != PAD:
        raise CheckpointError(f"{path} is no BERT vocabulary: its first line must be {PAD}, the id 0 that pads")
    return lines


class FullTokenizer:
    """WordPiece tokenizer with the names and the results of Google's (and bert-for-tf2's) ``FullTokenizer``.

    Args:
        vocab_file: path of a ``vocab.txt``; its line number is the token's id.
        do_lower_case: lower-case the text and strip accents, as every uncased checkpoint needs. ``None`` reads
            it from the checkpoint the vocabulary stands in (see ``checkpoint_lower_case``).

    >>> tokenizer.tokenize("Play our song, José!")
    ['play', 'our', 'song', ',', 'jose', '!']
    """

    def __init__(self, vocab_file: str | PathLike, do_lower_case: bool | None = None) -> None:
        self.vocab_lines = read_vocab_lines(vocab_file)
        self.vocab = {token: index for index, token in enumerate(self.vocab_lines)}
        self.inv_vocab = {index: token for token, index in self.vocab.items()}
        self.do_lower_case = checkpoint_lower_case(Path(vocab_file).parent, do_lower_case)
        wordpiece = models.WordPiece(self.vocab, unk_token=UNKNOWN, max_input_chars_per_word=MAX_CHARACTERS_PER_WORD)
        self._wordpiece = Tokenizer(wordpiece)
        self._wordpiece.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self.cls_id, self.sep_id = self.vocab[CLS], self.vocab[SEP]

    def basic_tokenize(self, text: str) -> list[str]:
        """Split a text into words and punctuation, before WordPiece."""
        return self.spaced(text).split()

    def tokenize(self, text: str) -> list[str]:
        """Split a text into WordPiece tokens, without [CLS] and [SEP]."""
        return self._wordpiece.encode(self.spaced(text), add_special_tokens=False).tokens

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Look tokens up in the vocabulary; one that is not there is a ``KeyError``."""
        return [self.vocab[token] for token in tokens]

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The tokens of these ids; one outside the vocabulary is a ``KeyError``."""
        return [self.inv_vocab[int(index)] for index in ids]

    def encode(self, texts: Sequence[str], max_seq_len: int) -> tuple[list[list[int]], int]:
        """Turn texts into ``[CLS] ids... [SEP]``, each at most ``max_seq_len`` long, unpadded.

        A longer text loses its last tokens, never its [CLS] or [SEP].

        Returns:
            The ids of each text, and how many texts were cut.

        Raises:
            SettingsError: ``max_seq_len`` leaves no room for a single token.
        """
        if max_seq_len < 3:
            raise SettingsError(f"max_seq_len must be at least 3 ([CLS], one token, [SEP]), not {max_seq_len}")
        room = max_seq_len - 2
        longest = room * CHARACTERS_PER_TOKEN  # bounds the work on a text of a million characters
        words = [self.spaced(text[:longest] if len(text) > longest else text) for text in texts]
        ids, cut = [], 0
        for text, encoding in zip(
            texts, self._wordpiece.encode_batch_fast(words, add_special_tokens=False), strict=True
        ):
            tokens = encoding.ids
            cut += len(tokens) > room or len(text) > longest
            ids.append([self.cls_id, *tokens[:room], self.sep_id])
        return ids, cut

    def spaced(self, text: str) -> str:
        """The text's words and punctuation with blanks between, cleaned as Google's BasicTokenizer does."""
        text = text.translate(_CLEAN)
        if self.do_lower_case:
            text = unicodedata.normalize("NFD", text.lower())
            if not text.isascii():
                text = text.translate(_STRIP_ACCENTS)
        return text.translate(_SPLIT_PUNCTUATION)


def checkpoint_lower_case(folder: str | PathLike, flag: bool | None = None) -> bool:
    """Whether a checkpoint's text is lower-cased: from its ``tokenizer_config.json``, else from its name.

    Args:
        folder: the checkpoint's folder.
        flag: what the user asked for; ``None`` leaves it to the checkpoint (and is True where that is silent).

    Raises:
        CheckpointError: the flag contradicts the checkpoint.
    """
    told, where = told_by_checkpoint(Path(folder))
    if flag is None:
        return True if told is None else told
    if told is not None and flag != told:
        raise CheckpointError(
            f"do_lower_case={flag} contradicts the checkpoint: {where} says do_lower_case={told}; leave the flag out"
        )
    return flag


def told_by_checkpoint(folder: Path) -> tuple[bool | None, str]:
    """What a checkpoint itself says of its casing, and where; ``None`` if nothing does."""
    config_file = folder / TOKENIZER_CONFIG_FILE
    if config_file.is_file():
        try:
            told = json.loads(config_file.read_text(encoding="utf-8")).get("do_lower_case")
        except (ValueError, AttributeError):
            raise CheckpointError(f"{config_file} is not valid JSON: mend it or delete it") from None
        if told is not None:
            return bool(told), str(config_file)
    return _told_by_name(folder.resolve().name)


@lru_cache
def _told_by_name(name: str) -> tuple[bool | None, str]:
    """Google's models say it in their name; the multilingual one of 2018-11-03 and the Chinese are uncased."""
    words = re.split(r"[^a-z]+", name.lower())
    if "uncased" in words or words[:2] in (["multilingual", "l"], ["chinese", "l"]):
        return True, f"the name {name}"
    if "cased" in words:
        return False, f"the name {name}"
    return None, ""


def tokenizer_config(do_lower_case: bool) -> str:
    """The text of a ``tokenizer_config.json`` that tells the casing, to Hugging Face's tokenizers as well."""
    return json.dumps({"do_lower_case": do_lower_case, "tokenizer_class": "BertTokenizer"}, indent=2) + "\n"
