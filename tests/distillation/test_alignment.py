"""What a teacher gives is checked and put into the order of the student's classes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklkl.distillation import POLICIES, aligned, checked_proba

P = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
CBA, ABC = np.array(["c", "b", "a"]), np.array(["a", "b", "c"])


# Checks


@pytest.mark.parametrize("container", [np.asarray, list, pd.DataFrame, pl.DataFrame], ids=lambda c: c.__name__)
def test_what_holds_probabilities(container):
    np.testing.assert_array_equal(checked_proba(container(P), 2), P)


def test_rounding_is_renormalised():
    off = P * np.array([[1 + 9e-4], [1 - 9e-4]])
    np.testing.assert_allclose(checked_proba(off, 2), P, rtol=1e-12)
    np.testing.assert_allclose(checked_proba(P.astype(np.float32), 2).sum(1), 1, rtol=1e-15)


def test_the_input_is_not_written():
    off = 1.0005 * P
    before = off.copy()
    checked_proba(off, 2)
    assert np.array_equal(off, before)


@pytest.mark.parametrize(
    "row", [[np.nan, 0.5, 0.5], [-0.1, 0.6, 0.5], [np.inf, 0, 0], [0.5, 0.5, 0.002], [0, 0, 0]], ids=str
)
def test_a_bad_row_is_named(row):
    bad = np.array([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5], row])
    with pytest.raises(ValueError, match=r"The teacher must give probabilities >= 0 that sum to 1\. Row 2 is \["):
        checked_proba(bad, 3)
    with pytest.raises(ValueError, match=r"Row 77 is"):
        checked_proba(bad, 3, numbers=np.array([5, 6, 77]))


@pytest.mark.parametrize("bad", [P[0], P[:1], P[:, :, None], 0.5], ids=["flat", "one row", "deep", "number"])
def test_another_shape_is_refused(bad):
    with pytest.raises(ValueError, match=r"of shape \(n_rows, n_classes\) for 2 rows. Got the shape"):
        checked_proba(bad, 2)


def test_labels_come_as_a_list_of_arrays_or_as_one_array():
    on = np.array([[0.2, 0.7, 1.0], [0.9, 0.0, 0.4]])
    expected = np.stack([1 - on, on], axis=-1)
    np.testing.assert_array_equal(checked_proba(on, 2, multilabel=True), expected)
    np.testing.assert_array_equal(checked_proba(expected, 2, multilabel=True), expected)
    listed = [np.column_stack([1 - p, p]) for p in on.T]
    np.testing.assert_array_equal(checked_proba(listed, 2, multilabel=True), expected)


@pytest.mark.parametrize("value", [1.1, -0.1, np.nan])
def test_a_label_has_a_probability(value):
    with pytest.raises(ValueError, match="Row 1 is"):
        checked_proba([[0.5, 0.5], [0.5, value]], 2, multilabel=True)


# Alignment


@pytest.mark.parametrize("policy", POLICIES)
def test_another_order_is_put_right_by_label(policy):
    proba, common = aligned(P, CBA, ABC, policy)
    np.testing.assert_allclose(proba, P[:, ::-1], rtol=1e-15)
    assert common is None


def test_columns_without_labels_are_those_of_the_student():
    proba, common = aligned(P, None, ABC, "same")
    assert proba is P
    assert common is None
    with pytest.raises(ValueError, match=r"3 columns, but there are 2 classes: \['a', 'b'\]"):
        aligned(P, None, ABC[:2], "common")


@pytest.mark.parametrize(
    ("teacher", "student"), [(CBA[:2], ABC), (CBA, ABC[:2]), (np.array(["a", "b", "d"]), ABC)],
    ids=["subset", "extra", "other"],
)  # fmt: skip
def test_other_classes_are_an_error_by_default(teacher, student):
    proba = P[:, : len(teacher)] / P[:, : len(teacher)].sum(1, keepdims=True)
    with pytest.raises(
        ValueError, match=r"The teacher knows the classes \[.*\], the student \[.*teacher_classes='common'"
    ):
        aligned(proba, teacher, student, "same")


@pytest.mark.parametrize("policy", ["common", "union", "closed"])
def test_extra_classes_are_dropped_and_the_others_renormalised(policy):
    proba, common = aligned(P, CBA, np.array(["a", "c"]), policy)
    np.testing.assert_allclose(proba, [[2 / 7, 5 / 7], [7 / 8, 1 / 8]])
    assert common is None


@pytest.mark.parametrize("policy", ["common", "union"])
def test_a_subset_names_the_classes_it_knows(policy):
    proba, common = aligned(P[:, :2] / P[:, :2].sum(1, keepdims=True), CBA[:2], np.array(["a", "b", "c", "d"]), policy)
    np.testing.assert_allclose(proba, [[3 / 8, 5 / 8], [2 / 3, 1 / 3]])
    assert common == [1, 2]


def test_a_closed_teacher_rules_out_what_it_does_not_know():
    proba, common = aligned(
        P[:, :2] / P[:, :2].sum(1, keepdims=True), CBA[:2], np.array(["a", "b", "c", "d"]), "closed"
    )
    np.testing.assert_allclose(proba, [[0, 3 / 8, 5 / 8, 0], [0, 2 / 3, 1 / 3, 0]])
    assert common is None


@pytest.mark.parametrize(("policy", "expected"), [("common", [[0.0], [1.0]]), ("closed", [[0.0, 0.0], [1.0, 0.0]])])
def test_a_row_on_other_classes_only_is_zero(policy, expected):
    proba, _ = aligned(np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([0, 9]), np.array([0, 1]), policy)
    assert proba.tolist() == expected


@pytest.mark.parametrize("policy", ["common", "union", "closed"])
def test_nothing_in_common_is_an_error(policy):
    with pytest.raises(ValueError, match="disjoint"):
        aligned(P, CBA, np.array([0, 1, 2]), policy)


@pytest.mark.parametrize("labels", [["a", "a", "b"], ["a", "b"], ["a", "b", "c", "d"]], ids=str)
def test_every_column_has_one_label(labels):
    with pytest.raises(ValueError, match="3 columns must have a label each"):
        aligned(P, np.array(labels), ABC, "common")
