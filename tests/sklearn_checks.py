"""scikit-learn's own checks of estimators, made to run on transformers of texts; each of them is tested with these."""

import json
from typing import Any

import numpy as np
from sklearn.utils import estimator_checks
from sklearn.utils.validation import validate_data


class NumbersAsText:
    """Stands before a transformer: rows of numbers become texts, so that the checks that feed matrices can run."""

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(self._texts(X, reset=True), y)  # type: ignore[misc]

    def transform(self, X: Any) -> np.ndarray:
        return super().transform(self._texts(X, reset=False))  # type: ignore[misc]

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        return self.fit(X, y).transform(X)

    def _texts(self, X: Any, reset: bool) -> list[str]:
        return [" ".join(str(number)[:6] for number in row) for row in validate_data(self, X, reset=reset).tolist()]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = False
        tags.input_tags.string = False
        return tags


def passed_checks(estimator: Any) -> set[str]:
    """Run the checks on a transformer behind ``NumbersAsText``: none fails; those that passed."""
    results = {
        result["check_name"]: result
        for result in estimator_checks.check_estimator(estimator, on_fail=None, on_skip=None)
    }
    failed = {name: str(each["exception"]) for name, each in results.items() if each["status"] == "failed"}
    assert failed == {}, json.dumps(failed, indent=1)
    passed = {name for name, each in results.items() if each["status"] == "passed"}
    assert len(passed) > 25
    assert {"check_methods_subset_invariance", "check_transformer_general", "check_fit_idempotent"} <= passed
    return passed


CHECKS_OF_THE_CLASS = [
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_mixin_order,
]
