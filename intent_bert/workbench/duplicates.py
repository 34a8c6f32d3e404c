"""Texts that stand in a table twice, or in two tables: contradictions, duplicates, leaks, and what is nearly so.

    row 2  play music    music       row 7  Play music!  music     duplicate: the same but for case and punctuation
    row 9  play music    weather                                   contradiction
    test.csv:4  play music                                         leak

The first table is compared with itself and with each other table; the others are compared with each other for leaks.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from intent_bert.workbench.findings import DELETE, INTENT_IS, Finding, advice
from intent_bert.workbench.masks import masked
from intent_bert.workbench.near_texts import near_pairs
from intent_bert.workbench.sheets import Sheet

Groups = dict[str, list[int]]  # an evened text -> the numbers of a sheet's sentences


def repeated_texts(sheets: Sequence[Sheet]) -> list[Finding]:
    """Contradictions and duplicates in the first sheet, and leaks between each two."""
    groups = [_groups(sheet) for sheet in sheets]
    findings: list[Finding] = []
    for numbers in groups[0].values():
        if len(numbers) > 1:
            findings += _within(sheets[0], numbers)
    for one in range(len(sheets)):
        for other in range(one + 1, len(sheets)):
            findings += _between(sheets[one], groups[one], sheets[other], groups[other])
    return findings


def _groups(sheet: Sheet) -> Groups:
    groups: Groups = defaultdict(list)
    for number, text in enumerate(sheet.evened):
        groups[text].append(number)
    return groups


def _within(sheet: Sheet, numbers: list[int]) -> Iterator[Finding]:
    """What follows from several sentences of one sheet being the same."""
    by_intent: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        by_intent[sheet.intent(number)].append(number)
    for first, *others in by_intent.values():
        for number in others:
            why = _same(sheet, number, sheet, first)
            yield sheet.finding("duplicate", "warning", why, number, suggestion=DELETE, other_row=sheet.place(first))
    likeliest = max(by_intent, key=lambda intent: len(by_intent[intent]))  # of as many the one that stands first
    clear = all(len(by_intent[likeliest]) > len(rows) for intent, rows in by_intent.items() if intent != likeliest)
    there = by_intent[likeliest][0]
    for intent, (number, *_) in by_intent.items():
        if intent != likeliest:
            todo = INTENT_IS + likeliest if clear and likeliest else advice(_choice(likeliest, intent))
            why = f"{_same(sheet, number, sheet, there)}, where it means {likeliest or 'nothing'}"
            more = {"suggestion": todo, "other_row": sheet.place(there)}
            yield sheet.finding("contradiction", "error", why, number, score=_sureness(sheet, number, there), **more)


def _choice(*intents: str) -> str:
    return f"decide: {' or '.join(intent or 'none' for intent in intents)}"


def _between(one: Sheet, groups: Groups, other: Sheet, others: Groups) -> Iterator[Finding]:
    """Sentences of one sheet that also stand in the other."""
    for text in groups.keys() & others.keys():
        there = others[text][0]
        intents = {other.intent(number) for number in others[text]}
        for number in groups[text]:
            why = _same(one, number, other, there)
            todo = DELETE if not one.name else advice(f"delete it in one of {one.name} and {other.name}")
            yield one.finding("leak", "error", why, number, suggestion=todo, other_row=other.place(there))
            if one.intent(number) not in intents:
                todo = advice(_choice(one.intent(number), *sorted(intents)))
                why = f"{why}, where it means {other.intent(there) or 'nothing'}"
                yield one.finding("contradiction", "error", why, number, suggestion=todo, other_row=other.place(there))


def _same(one: Sheet, number: int, other: Sheet, there: int) -> str:
    but = "" if one.texts[number] == other.texts[there] else " but for case, punctuation or spacing"
    return f"the same text as row {other.place(there)}{but}"


def _sureness(sheet: Sheet, one: int, other: int) -> float:
    return 1.0 if sheet.texts[one] == sheet.texts[other] else 0.99


# --- nearly the same ---------------------------------------------------------------------------------------------


def near_texts(sheets: Sequence[Sheet]) -> list[Finding]:
    """Near-duplicates in the first sheet, and near leaks between it and the others: of each sentence the nearest."""
    places: dict[str, list[tuple[int, int]]] = {}  # evened text -> the first sentence of each sheet that has it
    for sheet_number, sheet in enumerate(sheets):
        for text, numbers in _groups(sheet).items():
            places.setdefault(text, []).append((sheet_number, numbers[0]))
    firsts = list(places.values())
    best: dict[tuple[str, int], tuple[float, int, int]] = {}
    for (one, other), share in zip(*near_pairs(list(places)), strict=True):
        for left, number in firsts[one]:
            for right, there in firsts[other]:
                pair = [(left, number), (right, there)]
                (low, first), (high, second) = sorted(pair)
                if low != 0:
                    continue
                key = ("leak", first) if high else ("near-duplicate", second)
                found = (float(share), high, second) if high else (float(share), 0, first)
                best[key] = max(best.get(key, found), found)
    return [_near(sheets, kind, number, *found) for (kind, number), found in best.items()]


def _near(sheets: Sequence[Sheet], kind: str, number: int, share: float, other: int, there: int) -> Finding:
    sheet, compared = sheets[0], sheets[other]
    why = f"{share:.0%} the same letters as row {compared.place(there)}: {masked(compared.texts[there])!r}"
    contradicts = sheet.intent(number) != compared.intent(there)
    if contradicts:
        why += f", where it means {compared.intent(there) or 'nothing'}"
    todo = advice("see whether both intents are right") if contradicts else advice("keep one if they say the same")
    severity = "warning" if contradicts or kind == "leak" else "info"
    more = {"suggestion": todo, "other_row": compared.place(there)}
    return sheet.finding(kind, severity, why, number, score=share, **more)
