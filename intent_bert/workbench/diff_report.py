"""A comparison of two models on a terminal: short, what matters first. All of it is in ``ModelDifference.to_dict``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intent_bert.workbench.plain_text import columns, one_line, share, shift
from intent_bert.workbench.two_models import BROKE, CHANGED, MENDED

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.workbench.differences import Judgement, ModelDifference, ModelFacts

SHOWN = 10  # intents, and rows of each kind
_TITLES = {
    BROKE: "broke: OLD right, NEW wrong",
    CHANGED: "wrong in another way",
    MENDED: "mended: OLD wrong, NEW right",
}


def report_of(difference: "ModelDifference") -> str:
    """The whole page, without a line feed at its end."""
    parts = [
        _side_by_side(difference),
        _counts(difference),
        _intents(difference.per_intent),
        *(_rows(difference.changes, kind) for kind in (BROKE, CHANGED, MENDED)),
        _verdict(difference),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _side_by_side(difference: "ModelDifference") -> list[str]:
    old, new, unknown = difference.old, difference.new, difference.unknown
    lines: list[Sequence[str]] = [("", "OLD", "NEW", "change"), ("model", _ending(old.model), _ending(new.model), "")]
    exact = "exactly right" if difference.multi_label else "accuracy"
    lines.append((exact, share(old.accuracy), share(new.accuracy), _with_interval(difference.all)))
    if difference.shared is not None:
        shared = difference.shared
        lines.append(("  intents both know", share(shared.old), share(shared.new), _with_interval(shared)))
    names = {
        "macro F1": "macro_f1",
        "mean confidence": "confidence",
        "  where right": "confidence_right",
        "  where wrong": "confidence_wrong",
        "calibration error": "ece",
        "accepted as in scope": "in_scope",
    }
    for title, name in names.items():
        both = getattr(old, name), getattr(new, name)
        if both != (None, None):
            lines.append((title, *map(share, both), shift(*both)))
    if unknown is not None:
        lines.append(("unknown ones refused", share(unknown.old), share(unknown.new), _with_interval(unknown)))
    lines += _makings(old, new)
    return columns(lines)


def _ending(name: str) -> str:
    """The end of a path, which tells models apart."""
    line = one_line(name, 1000)
    return line if len(line) <= 30 else f"...{line[-27:]}"


def _with_interval(judged: "Judgement") -> str:
    low, high = judged.interval
    return f"{100 * judged.difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _makings(old: "ModelFacts", new: "ModelFacts") -> list[Sequence[str]]:
    """What the models are, apart from what they answer."""
    lines: list[Sequence[str]] = [("temperature", f"{old.temperature:.3f}", f"{new.temperature:.3f}", "")]
    thresholds = old.threshold, new.threshold
    if thresholds != (None, None) and thresholds != (0, 0):
        lines.append(("threshold of the scope", *(_number(each, ".3f") for each in thresholds), ""))
    lines.append(("intents", str(old.intents), str(new.intents), f"{new.intents - old.intents:+d}"))
    if old.bytes is not None and new.bytes is not None:
        sizes = old.bytes, new.bytes
        lines.append(("size", *(f"{each / 1e6:.1f} MB" for each in sizes), _times(sizes[1] / sizes[0])))
    speeds = old.sentences_a_second, new.sentences_a_second
    lines.append(("sentences a second", *(f"{each:,.0f}" for each in speeds), _times(speeds[1] / speeds[0])))
    alone = old.milliseconds_alone, new.milliseconds_alone
    lines.append(("one sentence", *(f"{each:.2f} ms" for each in alone), _times(alone[1] / alone[0])))
    if old.engine != new.engine:
        lines.append(("engine", old.engine, new.engine, ""))
    return lines


def _number(value: float | None, format: str) -> str:
    return "-" if value is None else f"{value:{format}}"


def _times(ratio: float) -> str:
    return f"x{ratio:.2f}"


def _counts(difference: "ModelDifference") -> list[str]:
    judged, unknown = difference.all, difference.unknown
    lines = [
        f"{judged.rows:,} rows of {one_line(difference.table)}: {judged.mended} mended, {judged.broke} broke, "
        f"{judged.changed} wrong in another way; exact McNemar p = {_p(judged.p_value)}"
    ]
    for title, intents in (("added", difference.added), ("removed", difference.removed)):
        if intents:
            named = [
                f"{one_line(name, 40)} ({each['found']} of {each['rows']} rows found)" for name, each in intents.items()
            ]
            lines.append(f"intents {title}: {_some(named)}")
    if difference.unknown_labels:
        named = [f"{one_line(label, 40)} ({count})" for label, count in difference.unknown_labels.items()]
        lines.append(f"labels that neither model knows, wrong for both: {_some(named)}")
    if unknown is not None:
        lines.append(
            f"{unknown.rows:,} unknown ones: {unknown.mended} are refused now, {unknown.broke} no longer; "
            f"exact McNemar p = {_p(unknown.p_value)}"
        )
    return lines


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.0001 else "below 0.0001"


def _some(named: list[str]) -> str:
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return ", ".join(named[:SHOWN]) + more


def _intents(table: "pd.DataFrame") -> list[str]:
    """Those with rows of which one model has found what the other has not; what lost most first."""
    moved = table[(table["rows"] > 0) & ((table["mended"] > 0) | (table["broke"] > 0))]
    if moved.empty:
        return []
    half = SHOWN // 2
    shown = moved if len(moved) <= SHOWN else moved.iloc[[*range(half), *range(len(moved) - half, len(moved))]]
    lines: list[Sequence[str]] = [
        ("by intent", "rows", "OLD", "NEW", "change", "95 % interval", "mended", "broke", "p (Holm)")
    ]
    for each in shown.to_dict("records"):
        lines.append(_intent_line(each))
    left = len(moved) - len(shown)
    return columns(lines) + ([f"{left} more changed less"] if left else [])


def _intent_line(each: Mapping[Any, Any]) -> tuple[str, ...]:
    interval = f"{100 * each['low']:+.1f} to {100 * each['high']:+.1f}"
    shares = share(each["old"]), share(each["new"]), f"{100 * each['difference']:+.1f}", interval
    return one_line(each["intent"], 40), str(each["rows"]), *shares, *_counts_of(each)


def _counts_of(each: Mapping[Any, Any]) -> tuple[str, str, str]:
    return str(each["mended"]), str(each["broke"]), _p(each["p_value"])


def _rows(changes: "pd.DataFrame", kind: str) -> list[str]:
    rows = changes[changes["kind"] == kind]
    if rows.empty:
        return []
    few = SHOWN if kind == BROKE else SHOWN // 2
    cut = f", {few} of {len(rows):,}" if len(rows) > few else ""
    lines = [f"{_TITLES[kind]} (the surest first{cut})"]
    for each in rows.head(few).to_dict("records"):
        answers = (f"{_named(each[side])} {each[f'{side}_confidence']:.3f}" for side in ("old", "new"))
        lines.append(f"  row {each['row']}  {one_line(each['text'])}")
        lines.append(f"    {_named(each['label'])}: was {', now '.join(answers)}")
    return lines


def _named(intents: Any) -> str:
    """An intent, or several, as a line has them."""
    several = intents if isinstance(intents, tuple) else (intents,)
    return one_line(" + ".join("(no intent)" if each is None else str(each) for each in several) or "(no intent)", 60)


def _verdict(difference: "ModelDifference") -> list[str]:
    if difference.worse:
        return [f"NEW is worse: {'; '.join(difference.complaints)}"]
    judged = difference.all
    if judged.p_value < difference.significance and judged.mended > judged.broke:
        return [f"NEW is better, by more than chance explains (p = {_p(judged.p_value)})"]
    return ["NEW is not worse"]
