"""Labels among classes, and columns put into the order of the classes."""

import numpy as np
import pytest

from sklkl._utils.class_alignment import align_columns, class_codes, class_positions, shown

CLASSES = {
    "int": np.array([3, 1, 2]),
    "text": np.array(["c", "a", "b"]),
    "object": np.array(["c", "a", "b"], dtype=object),
    "mixed": np.array(["c", 1, None], dtype=object),
    "dates": np.array(["2020-01-03", "2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
}
every_kind = pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)


@every_kind
def test_positions(classes):
    np.testing.assert_array_equal(class_positions(classes[[2, 0, 0]], classes), [2, 0, 0])
    np.testing.assert_array_equal(class_positions(classes, classes[[2, 0]]), [1, -1, 0])
    assert class_positions(classes[:0], classes).shape == (0,)


def test_numbers_of_any_type_are_equal_and_texts_are_no_numbers():
    np.testing.assert_array_equal(class_positions(np.array([1.0, 0.0]), np.array([0, 1])), [1, 0])
    np.testing.assert_array_equal(class_positions(np.array(["1"]), np.array([0, 1])), [-1])


@every_kind
def test_columns_follow_their_labels(classes):
    values = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], dtype=np.float32)
    order = [2, 0, 1]
    found = align_columns(values[:, order], classes[order], classes)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.float32


def test_classes_without_a_column_are_zero_and_columns_without_a_class_are_left_out():
    found = align_columns(np.array([[0.2, 0.3, 0.5]]), np.array(["x", "b", "a"]), np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(found, [[0.5, 0.3, 0.0]])


def test_codes_of_known_labels_only():
    np.testing.assert_array_equal(class_codes("y", np.array(["b", "a"]), np.array(["a", "b"])), [1, 0])
    with pytest.raises(
        ValueError, match=r"^The 'y' parameter must be labels among .*, \['a'\]\. Got the label 'b' instead"
    ):
        class_codes("y", np.array(["a", "b"]), np.array(["a"]))


def test_many_labels_are_not_all_shown():
    assert shown(np.array(["a", "b"])) == "['a', 'b']"
    assert shown(list(range(9))) == "[0, 1, 2, 3, 4, 5, 6, 7, ...]"
