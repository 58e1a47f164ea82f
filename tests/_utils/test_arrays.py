"""Arrays of any library as NumPy reads them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from sklkl._utils.arrays import as_array, indexable, to_numpy, unmasked

T = torch.tensor([[0.5, 0.25], [1.0, 2.0]])


@pytest.mark.parametrize(
    "tensor",
    [T, T.half(), T.bfloat16(), T.double(), T.clone().requires_grad_(), T.clone().requires_grad_().bfloat16(), T.int()],
    ids=lambda t: f"{t.dtype} {t.requires_grad}",
)
def test_tensors_of_every_type(tensor):
    np.testing.assert_array_equal(to_numpy("X", tensor), tensor.detach().double().numpy())
    np.testing.assert_array_equal(to_numpy("X", list(tensor)), tensor.detach().double().numpy())


@pytest.mark.parametrize(("tensor", "found"), [(T.to("meta"), "'meta'"), (T.to_sparse(), "a sparse tensor")])
def test_tensors_without_values(tensor, found):
    with pytest.raises(ValueError, match=f"The 'X' parameter must be .*Got .*{found} instead"):
        to_numpy("X", tensor)


def test_masks_are_missing_values():
    mask = [False, True]
    np.testing.assert_array_equal(unmasked(np.ma.array([1, 2], mask=mask)), [1, np.nan])
    np.testing.assert_array_equal(unmasked(np.ma.array([1, 2], np.float32, mask=mask)), np.float32([1, np.nan]))
    assert unmasked(np.ma.array(["a", "b"], mask=mask)).tolist() == ["a", None]
    assert np.isnat(unmasked(np.ma.array(np.array([1, 2], "M8[s]"), mask=mask))).tolist() == mask
    assert unmasked(np.ma.array([1, 2])).tolist() == [1, 2]


def test_all_else_stays():
    for values in (pd.DataFrame({"a": [1]}), [1, None], "text", None):
        assert to_numpy("X", values) is values


def test_a_frame_without_values_is_refused():
    with pytest.raises(ValueError, match=r"'X' parameter must be a frame .* collect\(\) returns. Got a LazyFrame"):
        to_numpy("X", pl.DataFrame({"a": [1]}).lazy())


def test_lists_become_arrays_and_rows_of_several_lengths_are_named():
    assert as_array("X", [[1, 2]]).tolist() == indexable("X", [[1, 2]]).tolist() == [[1, 2]]
    np.testing.assert_array_equal(as_array("X", T.bfloat16()), T)
    for read in (as_array, indexable):
        with pytest.raises(ValueError, match=r"'X' parameter must be an array.* Got list \(setting an array element"):
            read("X", [[1], [1, 2]])


def test_lists_of_tensors_of_several_lengths_are_named():
    with pytest.raises(ValueError, match="'X' parameter must be an array, or what makes one. Got list"):
        as_array("X", [T[0], T[0, :1]])


def test_what_has_a_shape_stays_what_it_is():
    frame = pd.DataFrame({"a": [1]})
    assert indexable("X", frame) is frame
