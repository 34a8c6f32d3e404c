"""Does a model behave as a file of cases asks? Each case is a sentence, an outcome, and why.

    report = check_behaviour("runs/model", "cases.yaml")
    report.passed          bool: every capability reaches its pass rate; where not, ``intent-bert check`` exits with 3
    report.cases           DataFrame, one case a row

A sentence under ``same`` is one case for each way of writing it otherwise, which passes where every variant gets the
intents of the sentence itself. What a case may ask is told in cases.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from intent_bert.data.cells import shown
from intent_bert.errors import SettingsError, nearest
from intent_bert.files.progress import progress_bar
from intent_bert.workbench.behaviour_report import BehaviourReport, Outcome
from intent_bert.workbench.cases import AT_LEAST, MUST, SAME, UNKNOWN, Case, Cases, read_cases
from intent_bert.workbench.perturbations import ALL, PERTURBATIONS, variants

if TYPE_CHECKING:
    from intent_bert.inference.predictor import IntentPredictor

DIGITS = 6  # of a confidence, as ``predict --json`` has it: 0.9 in float32 is at least 90%
_AT_ONCE = 512  # sentences that are predicted before the bar moves
_NAMED = 8  # intents in a sentence


@dataclass(frozen=True)
class Seen:
    """What a model makes of a sentence; ``intents`` as text, none where none fits or where it is rejected."""

    intents: tuple[str, ...]
    confidence: float
    in_scope: bool | None

    def __str__(self) -> str:
        refused = ", refused" if self.in_scope is False else ""
        return f"{' + '.join(self.intents) or '(no intent)'} {self.confidence:.3f}{refused}"


@dataclass(frozen=True)
class _Trial:
    """A case, or one of its perturbations, with the variants to try."""

    capability: str
    case: Case
    perturbation: str | None = None
    variants: tuple[str, ...] = ()


def check_behaviour(
    model: "str | PathLike | IntentPredictor",
    cases: str | PathLike | Mapping[str, Any] | Cases,
    *,
    engine: str = "auto",
    verbose: int = 0,
) -> BehaviourReport:
    """Try every case on a model.

    Args:
        model: a model folder, or a predictor.
        cases: a YAML file, or a mapping of the same keys.
        engine: what computes for a folder, as in ``IntentPredictor.load``.
        verbose: 1 shows a bar on stderr, where it takes over two seconds.

    Raises:
        DataError: the file can't be read, has a key, an intent or a perturbation that is not known, or a perturbation
            that changes nothing.
        SettingsError: sentences are to be refused, and the model can't tell which to refuse.
        ModelFolderError: the folder can't be used.
    """
    from intent_bert.inference.predictor import IntentPredictor

    read = cases if isinstance(cases, Cases) else read_cases(cases)
    trials = list(_trials(read))
    predictor = model if isinstance(model, IntentPredictor) else IntentPredictor.load(model, engine=engine)
    _check(read, predictor)
    texts = list(dict.fromkeys(text for trial in trials for text in (trial.case.text, *trial.variants)))
    seen = seen_by(predictor, texts, reject=read.reject, verbose=verbose)
    probabilities = _probabilities(predictor, trials)
    outcomes = [_outcome(trial, seen, probabilities) for trial in trials]
    name = "the model" if isinstance(model, IntentPredictor) else str(model)
    return BehaviourReport.of(name, read, outcomes)


def seen_by(
    predictor: "IntentPredictor", texts: Sequence[str], *, reject: bool = False, verbose: int = 0
) -> dict[str, Seen]:
    """What a model makes of each text."""
    seen = {}
    with progress_bar(len(texts), "checking" if verbose else None, "sentence", delay=2, leave=False) as bar:
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            for text, each in zip(some, predictor.described(some, 1, reject), strict=True):
                intents = tuple(sorted(str(answer.intent) for answer in each.intents))
                seen[text] = Seen(intents, round(each.answer.confidence, DIGITS), each.in_scope)
            bar.update(len(some))
    return seen


# --- before the model is asked -----------------------------------------------------------------------------------


def _trials(cases: Cases) -> Iterator[_Trial]:
    for capability in cases.capabilities:
        for case in capability.cases:
            if case.kind != SAME:
                yield _Trial(capability.name, case)
                continue
            for name, found in _perturbed(cases, case):
                yield _Trial(capability.name, case, name, tuple(found))


def _perturbed(cases: Cases, case: Case) -> list[tuple[str, list[str]]]:
    """Each way of writing a text otherwise with its variants; one that was asked for by name must change the text."""
    every = case.perturbations == (ALL,)
    found = [(name, variants(name, case.text, cases.seed)) for name in (PERTURBATIONS if every else case.perturbations)]
    idle = [name for name, changed in found if not changed]
    if idle and (not every or len(idle) == len(found)):
        can = [name for name in PERTURBATIONS if variants(name, case.text, cases.seed)]
        advice = f"take it out, or take {', '.join(can)} or {ALL}" if can else "take it out"
        named = ALL if every else idle[0]
        raise cases.fault(case, f"the perturbation {named} changes nothing in {shown(case.text)}: {advice}")
    return [(name, changed) for name, changed in found if changed]


def _check(cases: Cases, predictor: "IntentPredictor") -> None:
    """Refuse what this model can't be asked."""
    known = [str(label) for label in predictor.classes]
    for capability in cases.capabilities:
        for case in capability.cases:
            for intent in case.intents:
                if intent not in known:
                    raise cases.fault(case, _no_such_intent(intent, known))
            if case.kind == MUST and len(case.intents) != 1 and not predictor.multi_label:
                raise cases.fault(
                    case,
                    f"{len(case.intents)} intents for {shown(case.text)}, but the model gives one a sentence: name one",
                )
            if (case.kind == UNKNOWN or cases.reject) and predictor.decision.threshold is None:
                try:
                    predictor.decision.check_threshold()
                except SettingsError as error:
                    raise SettingsError(f"{cases.source}, line {case.line}: {error}") from None


def _no_such_intent(intent: str, known: list[str]) -> str:
    there = ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" if len(known) > _NAMED else "")
    return f"the model has no intent {shown(intent)}: did you mean {nearest(intent, known)}? (it has {there})"


# --- what comes out ----------------------------------------------------------------------------------------------


def _probabilities(predictor: "IntentPredictor", trials: Sequence[_Trial]) -> dict[tuple[str, str], float]:
    """(text, intent) -> its probability, of the cases that ask for it."""
    asked = list(dict.fromkeys((each.case.text, *each.case.intents) for each in trials if each.case.kind == AT_LEAST))
    pairs = [pair for pair in asked if len(pair) == 2]
    places = {str(label): place for place, label in enumerate(predictor.classes)}
    given = predictor.predict_proba([pair[0] for pair in pairs])
    return {
        (pair[0], pair[1]): round(float(row[places[pair[1]]]), DIGITS) for pair, row in zip(pairs, given, strict=True)
    }


def _outcome(trial: _Trial, seen: Mapping[str, Seen], probabilities: Mapping[tuple[str, str], float]) -> Outcome:
    case, answer = trial.case, seen[trial.case.text]
    changed: list[str] = []
    if case.kind == MUST:
        asked = " + ".join(sorted(case.intents)) or "(no intent)"
        passed, found = answer.intents == tuple(sorted(case.intents)), str(answer)
    elif case.kind == UNKNOWN:
        asked, passed, found = "to be refused", answer.in_scope is False, f"{answer}"
        found = found if passed else f"{answer}, accepted"
    elif case.kind == AT_LEAST:
        asked, passed, found = _sure_enough(case, answer, probabilities)
    else:
        changed = [text for text in trial.variants if seen[text].intents != answer.intents]
        asked = " + ".join(answer.intents) or "(no intent)"
        passed = not changed
        found = "; ".join(f"{shown(text)} -> {seen[text]}" for text in changed) or asked
    return Outcome(
        capability=trial.capability,
        kind=case.kind,
        text=case.text,
        line=case.line,
        perturbation=trial.perturbation,
        passed=passed,
        asked=asked,
        found=found,
        variants=len(trial.variants),
        changed=tuple(changed),
    )


def _sure_enough(case: Case, answer: Seen, probabilities: Mapping[tuple[str, str], float]) -> tuple[str, bool, str]:
    if not case.intents:
        return (
            f"at least {case.confidence:.3f}",
            bool(answer.intents) and answer.confidence >= case.confidence,
            str(answer),
        )
    probability = probabilities[case.text, case.intents[0]]
    asked = f"{case.intents[0]} at least {case.confidence:.3f}"
    return asked, probability >= case.confidence, f"{case.intents[0]} {probability:.3f}"
