"""Arrays that are kept in files, and made again where a file is not whole."""

import logging

import numpy as np
import pytest

from lstm_backtrader.forecast.array_files import read_array, write_array

VALUES = np.arange(6.0).reshape(2, 3)


def test_what_was_written_is_read_again_and_nothing_else_is_left(tmp_path):
    write_array(tmp_path / "a.npy", VALUES)
    assert (read_array(tmp_path / "a.npy", (2, 3)) == VALUES).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_no_file_and_an_array_of_another_shape_are_none(tmp_path):
    write_array(tmp_path / "a.npy", VALUES)
    assert read_array(tmp_path / "a.npy", (3, 2)) is None
    assert read_array(tmp_path / "b.npy", (2, 3)) is None


@pytest.mark.parametrize("keep", [0, 20, -8])
def test_a_damaged_file_is_named(tmp_path, keep, caplog):
    path = tmp_path / "a.npy"
    write_array(path, VALUES)
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING, "lstm_backtrader"):
        assert read_array(path, (2, 3)) is None
    assert f"{path} is damaged" in caplog.text
