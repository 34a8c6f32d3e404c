"""What the tokenizer makes of the texts: those that will be cut, and words that it has no pieces for.

max_seq_len 8   [CLS] please play our song by the [SEP]   two tokens of "please play our song by the band ." are cut
["play", "☃"]   [CLS] play [UNK] [SEP]
"""

from collections.abc import Iterator

from intent_bert.bert.tokenization import UNKNOWN, FullTokenizer
from intent_bert.workbench.findings import Finding, advice
from intent_bert.workbench.masks import masked
from intent_bert.workbench.sheets import Sheet

MANY_UNKNOWN = 0.5  # of the words: more than a remark
_NO_END = 1 << 20  # tokens: of a text that is counted whole


def token_findings(sheet: Sheet, tokenizer: FullTokenizer, max_seq_len: int) -> Iterator[Finding]:
    """Findings of the kinds cut and unknown-words."""
    ids, _ = tokenizer.encode(sheet.texts, _NO_END)
    unknown = tokenizer.vocab[UNKNOWN]
    for number, of_text in enumerate(ids):
        if len(of_text) > max_seq_len:
            lost = len(of_text) - max_seq_len
            why = f"{len(of_text)} tokens, and {max_seq_len} are read: the last {lost} are cut"
            todo = advice(f"shorten it, or train with --max-seq-len {len(of_text)}")
            yield sheet.finding("cut", "warning", why, number, suggestion=todo, score=lost / len(of_text))
        if unknown in of_text:
            yield from _unknown_words(sheet, number, tokenizer)


def _unknown_words(sheet: Sheet, number: int, tokenizer: FullTokenizer) -> Iterator[Finding]:
    words = tokenizer.basic_tokenize(masked(sheet.texts[number]))
    unknown = [word for word in words if UNKNOWN in tokenizer.tokenize(word)]
    if unknown:
        share = len(unknown) / len(words)
        why = f"the vocabulary does not know {', '.join(dict.fromkeys(word[:30] for word in unknown))}"
        severity = "warning" if share >= MANY_UNKNOWN else "info"
        yield sheet.finding("unknown-words", severity, why, number, score=share)
