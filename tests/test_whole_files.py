"""Files written whole: the new content or the old, never a part, and no leftovers."""

import errno
import os

import pytest

from lstm_backtrader.whole_files import placing, write_whole


def test_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "file"
    for content in (b"old", b"new"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_content_and_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_whole(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_a_file_is_written_leaves_no_part_of_it(tmp_path):
    def write_half():
        with placing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        write_half()
    assert list(tmp_path.iterdir()) == []
