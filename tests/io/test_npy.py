"""NumpyNdarray: invalid .npy bodies, and dtype and shape rules on valid ones."""

import numpy as np
import pytest

from headway.errors import BadInputError
from headway.io import NumpyNdarray

_NPY = "application/x-npy"


def _npy(header: str, elements: bytes = b"", version: int = 1) -> bytes:
    text = header.encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + elements


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "does not start with the .npy magic"),
        (b"\x93NUMPY\x09\x00", "does not start with the .npy magic"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "truncated or too long"),
        (_npy("{"), "does not describe"),
        (_npy("[]"), "does not describe"),
        (_npy("(" * 5000), "does not describe"),
        (_npy("{'descr': '<f8'}"), "does not describe"),
        (
            _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
            "send bool, integer",
        ),
        (
            _npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
            "send bool, integer",
        ),
        (
            _npy("{'descr': '<c16', 'fortran_order': False, 'shape': (0,)}"),
            "send bool, integer",
        ),
        (
            _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)}"),
            "does not describe",
        ),
        (
            _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,)}"),
            "announces 799999999992 bytes of elements, but the body has 0",
        ),
        (
            _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", bytes(8)),
            "not a tuple of lengths",
        ),
        (
            _npy(
                f"{{'descr': '<f8', 'fortran_order': False, 'shape': {(1,) * 40}}}",
                bytes(8),
            ),
            "more than 32 dimensions",
        ),
        (
            _npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}", b"\x07"),
            "neither 0 nor 1",
        ),
        (
            _npy("{'descr': '<U1', 'fortran_order': False, 'shape': (0,)}", version=3),
            "expected an array of numbers",
        ),
    ],
)
def test_broken_npy_files_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        NumpyNdarray().decode(body, _NPY)


def test_npy_strings_must_be_unicode() -> None:
    header = "{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}"
    decode = NumpyNdarray(dtype=str).decode
    assert decode(_npy(header, "é".encode("utf-32-le"), 2), _NPY).tolist() == ["é"]
    with pytest.raises(BadInputError, match="not valid Unicode"):
        decode(_npy(header, b"\xff\xff\xff\xff"), _NPY)
    with pytest.raises(BadInputError, match="expected an array of strings"):
        decode(NumpyNdarray().encode(np.array([1]), _NPY)[1], _NPY)


def test_npy_bodies_obey_dtype_and_shape() -> None:
    descriptor = NumpyNdarray("float32", True, (-1, 2), True)
    _, body = NumpyNdarray().encode(np.array([[1.5, 2.5]]), _NPY)
    assert descriptor.decode(body, _NPY).dtype == np.float32
    _, body = NumpyNdarray().encode(np.array([[1e300, 0]]), _NPY)
    with pytest.raises(BadInputError, match="float64 values that it cannot hold"):
        descriptor.decode(body, _NPY)
    _, body = NumpyNdarray().encode(np.array([1.5]), _NPY)
    with pytest.raises(BadInputError, match=r"shape \(any, 2\), got \(1,\)"):
        descriptor.decode(body, _NPY)
