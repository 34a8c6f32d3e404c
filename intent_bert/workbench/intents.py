"""What shows of the intents by counting: too few sentences, very different sizes, one name in two spellings."""

from collections import Counter, defaultdict

from intent_bert.data.label_sets import all_labels
from intent_bert.workbench.findings import Finding, advice
from intent_bert.workbench.sheets import Sheet, evened

FEW, ENOUGH = 5, 50  # sentences: where the curve begins, and where it has become flat
CURVE = (  # docs/comparing.md: BANKING77, bert-mean-logreg
    f"on BANKING77 {FEW} sentences an intent gave 77.5 % right, {ENOUGH} gave 91.7 %, all of them (130) 92.8 %"
)
UNEVEN = 10  # times as many sentences in the largest intent as in the smallest


def intent_findings(sheet: Sheet) -> list[Finding]:
    """Findings of the kinds too-few, imbalance and, of two spellings, overlap."""
    sizes = distinct_sentences(sheet)
    findings = [_too_few(intent, size) for intent, size in sizes.items() if size < ENOUGH]
    return findings + _imbalance(sizes) + _spellings(sizes)


def distinct_sentences(sheet: Sheet) -> dict[str, int]:
    """How many different sentences each intent has, the most first."""
    pairs = {(str(label), text) for labels, text in zip(sheet.labels, sheet.evened, strict=True)
             for label in all_labels([labels])}  # fmt: skip
    return dict(Counter(label for label, _ in sorted(pairs)).most_common())


def _too_few(intent: str, size: int) -> Finding:
    many = "1 sentence" if size == 1 else f"{size} different sentences"
    severity = "error" if size == 1 else "warning" if size < FEW else "info"
    why = f"{many}: nothing is left to test it with" if size == 1 else f"{many}; {CURVE}"
    todo = advice(f"write {ENOUGH - size} more" if size >= FEW else f"write {FEW - size} more at least")
    return Finding("too-few", severity, why, intent=intent, suggestion=todo, score=1 - size / ENOUGH)


def _imbalance(sizes: dict[str, int]) -> list[Finding]:
    (largest, most), *_, (smallest, fewest) = *sizes.items(), *sizes.items()
    if not fewest or most < UNEVEN * fewest:
        return []
    small = sum(most >= UNEVEN * size for size in sizes.values())
    why = f"{largest} has {most:,} different sentences and {smallest} {fewest:,}" + (
        f"; {small} intents have less than a tenth of the largest" if small > 1 else ""
    )
    todo = advice("write more of the rare ones, or train with --class-weight balanced")
    return [Finding("imbalance", "warning", why, intent=smallest, suggestion=todo, score=1 - fewest / most)]


def _spellings(sizes: dict[str, int]) -> list[Finding]:
    """Intents whose names differ in case, punctuation and spacing alone."""
    alike: dict[str, list[str]] = defaultdict(list)
    for intent in sizes:
        alike[evened(intent.replace("_", " ")).replace(" ", "")].append(intent)
    findings = []
    for most, *others in alike.values():
        for other in others:
            why = f"its name is {most!r} in another spelling"
            todo = advice(f"write {most} in all {sizes[other]} of them, if they are one")
            findings.append(Finding("overlap", "error", why, intent=other, suggestion=todo))
    return findings
