"""Corrections against the definitions, and the report as text and as a frame."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklkl.drift import DriftReport
from sklkl.drift._report import CORRECTIONS, holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(np.array)


def rejected_by_holm(p, alpha):
    """Step down as Holm did: from the smallest p-value on, until one is too large for the hypotheses left."""
    rejected = np.zeros(len(p), dtype=bool)
    for step, j in enumerate(np.argsort(p, kind="stable")):
        if p[j] * (len(p) - step) > alpha:
            break
        rejected[j] = True
    return rejected


@given(p_values, st.sampled_from([0.01, 0.05, 0.3]))
def test_holm_rejects_what_his_procedure_rejects(p, alpha):
    np.testing.assert_array_equal(holm(p) <= alpha, rejected_by_holm(p, alpha))


@pytest.mark.parametrize("name", CORRECTIONS)
@given(p_values)
def test_corrections_keep_the_order_and_lower_nothing(name, p):
    adjusted = CORRECTIONS[name](p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


@pytest.fixture
def report():
    return DriftReport(
        feature_names=np.array(["size", "weight in kg", "colour"], dtype=object),
        statistic=np.array([0.01, 1.5, np.inf]),
        p_value=np.array([0.8, 0.001, 0.001]),
        adjusted_p_value=np.array([0.8, 0.003, 0.003]),
        drifted=np.array([False, True, True]),
        statistic_name="js",
        alpha=0.05,
        n_reference=1000,
        n_new=20,
    )


def test_text_is_an_aligned_table_by_p_value(report):
    assert str(report).splitlines() == [
        "2 of 3 columns drifted (alpha 0.05; rows: 20 new, 1000 reference)",
        "column           js  p-value  adjusted  drifted",
        "colour          inf    0.001     0.003      yes",
        "weight in kg  1.500    0.001     0.003      yes",
        "size          0.010    0.800     0.800       no",
    ]
    assert repr(report) == "<DriftReport: 2 of 3 columns drifted (alpha 0.05; rows: 20 new, 1000 reference)>"


def test_frame_is_in_the_order_of_the_columns(report):
    expected = pd.DataFrame(
        {
            "column": ["size", "weight in kg", "colour"],
            "statistic": [0.01, 1.5, np.inf],
            "p_value": [0.8, 0.001, 0.001],
            "adjusted_p_value": [0.8, 0.003, 0.003],
            "drifted": [False, True, True],
        }
    ).astype({"column": object})
    pd.testing.assert_frame_equal(report.to_frame().astype({"column": object}), expected)


def test_reports_cannot_be_changed(report):
    with pytest.raises(AttributeError):
        report.alpha = 0.1
