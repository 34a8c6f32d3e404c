"""What a run's own sentences teach the decision of its model, once the weights are found.

    validation   a temperature, the score from which on a sentence is in scope, and what usual sentences are like
    train        what sentences in scope are like
    unknown      (if there are any) the weights of the score and its threshold

What they teach is the business of model/held_out.py and model/sketch.py.
"""

from collections.abc import Sequence

import numpy as np

from intent_bert.data.labels import Label
from intent_bert.model.decision import Decision, is_wordless
from intent_bert.model.held_out import HeldOut, decided
from intent_bert.model.keras_engine import KerasEngine
from intent_bert.model.outputs import Outputs, only_logits
from intent_bert.model.saved import Artifact
from intent_bert.model.scope import Scope, kept_rows
from intent_bert.model.sketch import Sketch, observed, token_kinds
from intent_bert.training.prepare import Prepared, Sentences

MOST_JUDGED = 5_000  # training sentences; an accuracy above 90 % then has a standard error below 0.5 points


def run_outputs(engine: KerasEngine, prepared: Prepared, verbose: int = 1) -> tuple[dict[str, Outputs], Outputs]:
    """What the model computes for each table of a run, and for the training sentences that ``Scope`` keeps.

    Of train the outputs hold logits alone, and of ``judged_rows`` alone: the rest would take gigabytes, and minutes.
    """
    named: dict[str, Outputs] = {}
    for name, split in prepared.splits.items():
        if name != "train":
            named[name] = engine.outputs(split.ids, f"evaluating {name}" if verbose else None)
    train = prepared.splits["train"]
    rows = scope_rows(prepared)
    judged = judged_rows(prepared)
    others = np.setdiff1d(judged, rows)
    progress = "evaluating train" if verbose else None
    kept = engine.outputs([train.ids[row] for row in rows], progress)
    logits = np.empty((len(train.ids), kept.logits.shape[1]), "float32")
    logits[rows] = kept.logits
    if len(others):
        logits[others] = engine.logits([train.ids[row] for row in others], progress)
    named["train"] = only_logits(logits[judged])
    return {name: named[name] for name in prepared.splits}, kept


def decide(artifact: Artifact, prepared: Prepared) -> None:
    """Complete the decision of a fitted model, and its sketch, where no other table is to be evaluated."""
    engine, train = KerasEngine(artifact.model), prepared.splits["train"]
    kept = engine.outputs([train.ids[row] for row in scope_rows(prepared)])
    held_out = {name: engine.outputs(split.ids) for name, split in prepared.splits.items() if name != "train"}
    artifact.decision = taught_decision(prepared, held_out, kept)
    artifact.sketch = taught_sketch(prepared, artifact.decision, held_out)


def judged_rows(prepared: Prepared) -> np.ndarray:
    """The training sentences that a run is judged on at its end: all, or as many as tell enough."""
    number = len(prepared.splits["train"].ids)
    if number <= MOST_JUDGED:
        return np.arange(number)
    return np.sort(np.random.default_rng(prepared.config.seed).permutation(number)[:MOST_JUDGED])


def scope_rows(prepared: Prepared) -> np.ndarray:
    """The training sentences that ``Scope`` keeps; of a multi-label model none."""
    if prepared.config.multi_label:
        return np.empty(0, "int64")
    numbers = prepared.splits["train"].numbers(prepared.classes)
    return kept_rows(numbers, len(prepared.classes), prepared.config.seed)


def taught_decision(prepared: Prepared, outputs: dict[str, Outputs], kept: Outputs) -> Decision:
    """Temperature and scope from ``run_outputs``'s outputs."""
    train, classes = prepared.splits["train"], prepared.classes
    rows = scope_rows(prepared)
    scope = Scope.of(kept, train.numbers(classes)[rows], len(classes))
    held_out = _usable(outputs.get("validation"), prepared.splits.get("validation"), classes)
    unknown = _usable(outputs.get("unknown"), prepared.splits.get("unknown"), None)
    return decided(scope, held_out, unknown.outputs, prepared.config.known_acceptance, "validation")


def taught_sketch(prepared: Prepared, decision: Decision, outputs: dict[str, Outputs]) -> Sketch | None:
    """What validation sentences are like, from ``run_outputs``'s outputs; None where they are too few to tell."""
    validation, classes = prepared.splits.get("validation"), prepared.classes
    if validation is None:
        return None
    usable = ~is_wordless(validation.ids)
    if not prepared.config.multi_label:
        usable &= validation.numbers(classes) >= 0
    ids = [sentence for sentence, use in zip(validation.ids, usable, strict=True) if use]
    usable_outputs = Outputs(*(each[usable] for each in outputs["validation"]))
    kinds = token_kinds(prepared.tokenizer.vocab_lines)
    return Sketch.of(observed(ids, usable_outputs, decision, kinds), len(classes), prepared.config.seed)


def _usable(outputs: Outputs | None, sentences: Sentences | None, classes: Sequence[Label] | None) -> HeldOut:
    """The rows with a word in them and, unless ``classes`` is None, a known label."""
    if outputs is None or sentences is None:
        return HeldOut.none()
    usable = ~is_wordless(sentences.ids)
    numbers = np.zeros(len(usable), "int64")
    if classes is not None:
        numbers = sentences.numbers(classes)
        usable &= numbers >= 0
    return HeldOut(Outputs(*(each[usable] for each in outputs)), numbers[usable])
