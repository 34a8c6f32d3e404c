"""What a report holds: a model's predictions for a table, its metrics, and what they show, as DataFrames."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intent_bert.inference.explanation import Explanation
from intent_bert.workbench.judging import Judged

if TYPE_CHECKING:
    import pandas as pd

    from intent_bert.evaluation.multi_label import AnyEvaluation
    from intent_bert.inference.predictor import IntentPredictor


@dataclass
class Report:
    """What a model makes of a table.

    Attributes:
        name: of the model.
        source: of the table.
        predictor: the model.
        judged: its predictions and metrics.
        rows: a row for each sentence: row, text, label, prediction, right, confidence, in_scope, score and more.
        suspects: rows whose label may be wrong: row, text, label, proposal, confidence, label_probability, neighbours.
        explanations: of the surest mistakes, by their place among ``rows``.
        unknown_label: of rows that mean none of the intents.
        separator: what joins labels.
        compared: whether training sentences were given.
        seconds: name -> how long.
    """

    name: str
    source: str
    predictor: "IntentPredictor" = field(repr=False)
    judged: Judged = field(repr=False)
    rows: "pd.DataFrame" = field(repr=False)
    suspects: "pd.DataFrame" = field(repr=False)
    explanations: dict[int, Explanation] = field(repr=False)
    unknown_label: str | None
    separator: str
    compared: bool
    seconds: dict[str, float]

    @property
    def evaluation(self) -> "AnyEvaluation":
        """The metrics, as ``evaluate`` has them."""
        return self.judged.evaluation

    @property
    def per_intent(self) -> "pd.DataFrame":
        """Precision, recall, F1 and support of each label, the worst F1 first."""
        import pandas as pd

        table = pd.DataFrame.from_dict(self.evaluation.per_intent, orient="index").astype({"support": int})
        table.index.name = "intent"
        return table.sort_values("f1", kind="stable")

    @property
    def confusion(self) -> "pd.DataFrame":
        """The confusion matrix: label down, prediction across; of several intents what was missed and added."""
        return self.evaluation.confusion_table()

    @property
    def mistakes(self) -> "pd.DataFrame":
        """The rows that are wrong, the surest first; ``words`` are those that carried the prediction, if explained."""
        import pandas as pd

        wrong = surest_mistakes(self.rows).copy()
        wrong["words"] = pd.Series([self._carrying(place) for place in wrong.index], wrong.index, dtype=object)
        return wrong

    def _carrying(self, place: Any) -> list[str] | None:
        explanation = self.explanations.get(place)
        return None if explanation is None else [word.word for word in explanation.words if word.drop > 0]

    @property
    def refused(self) -> "pd.DataFrame":
        """The rows that are out of scope for the model, the least in scope first; empty where it can't tell."""
        found = self.rows[self.rows["in_scope"].eq(False)]
        return found.sort_values("score", kind="stable")


def surest_mistakes(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The rows that are wrong, the surest first; their index tells their place."""
    wrong = rows[~rows["right"] & rows["judged"]]
    return wrong.sort_values("confidence", ascending=False, kind="stable")
