"""Bytes of tensors, empty ones too."""

import numpy as np
import pytest
import torch

from sklkl._utils.tensor_bytes import tensor_bytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_the_bytes_are_those_of_the_numbers_in_c_order(dtype):
    values = torch.arange(6).view(2, 3).T.to(dtype)
    expected = values.contiguous().clone().view(torch.uint8).flatten()
    assert tensor_bytes(values).tolist() == expected.tolist()


@pytest.mark.parametrize("values", [torch.from_numpy(np.arange(0) + 0.5), torch.zeros(0, 3), torch.zeros(3, 0).T])
def test_an_empty_tensor_has_none_whatever_its_strides(values):
    assert tensor_bytes(values).shape == (0,)
