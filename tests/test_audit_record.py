"""Records of audits: kept by the hash of the code, found again, and never in the way."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

import lstm_backtrader as lbt
from lstm_backtrader.forecast.audit_record import (
    AuditRecord,
    Subject,
    audits_directory,
    find,
    keep,
    model_subject,
)

SUBJECT = Subject("strategy", "trend:Trend", "ab" * 32)


def record(**changes):
    day = datetime(2024, 5, 1, tzinfo=UTC)
    values = {
        "kind": "strategy",
        "subject": SUBJECT.name,
        "sha256": SUBJECT.sha256,
        "audited": day,
        "version": "0.1.0",
        "data_sha256": "cd" * 32,
        "begin": day,
        "last": day,
        "bars": 2000,
        "checks": ("reads", "truncation"),
        "findings": 0,
        "orders": 7,
    }
    return AuditRecord(**(values | changes))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    place = tmp_path / "deep" / "audits"
    monkeypatch.setenv("LBT_AUDITS", str(place))
    return place


def test_a_record_is_found_by_the_hash_of_its_code_and_the_newest_stands(folder):
    assert find(SUBJECT) is None
    keep(record(findings=3))
    keep(record())
    assert find(SUBJECT) == record()
    assert find(Subject("strategy", SUBJECT.name, "ef" * 32)) is None
    assert find(Subject("strategy", SUBJECT.name, None)) is None
    assert [file.name for file in folder.iterdir()] == [f"{SUBJECT.sha256}.json"]


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 2}', "[1]"])
def test_a_damaged_record_is_one_warning_and_counts_as_none(folder, caplog, text):
    keep(record()).write_text(text)
    assert find(SUBJECT) is None
    (warning,) = caplog.messages
    assert "is damaged" in warning
    assert warning.endswith("does not count. Run the audit again.")


def test_a_folder_that_cannot_be_written_to_is_one_warning(folder, caplog):
    folder.parent.mkdir()
    folder.write_text("a file in its place")
    assert keep(record()) is None
    (warning,) = caplog.messages
    assert "reports will not know of this audit" in warning
    assert warning.endswith("Set LBT_AUDITS to a folder that can.")
    assert find(SUBJECT) is None
    assert "cannot be read" in caplog.messages[1]


def test_nothing_is_kept_where_that_is_switched_off(monkeypatch, caplog):
    monkeypatch.setenv("LBT_AUDITS", "off")
    caplog.set_level(logging.DEBUG)
    assert keep(record()) is None
    assert find(SUBJECT) is None
    assert caplog.messages == []


def test_the_folder_is_the_users_own_unless_another_is_named(monkeypatch, tmp_path):
    assert audits_directory() == tmp_path / "deep" / "audits"
    monkeypatch.delenv("LBT_AUDITS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert audits_directory() == tmp_path / "lstm_backtrader" / "audits"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert audits_directory() == Path.home() / ".local" / "share" / "lstm_backtrader" / "audits"


def test_a_model_is_known_by_what_it_computes_wherever_it_lies(tiny_model, tiny_artefact, monkeypatch):
    from lstm_backtrader.indicators.models import as_forecaster

    monkeypatch.chdir(tiny_artefact.parent)
    on_disk, in_memory = model_subject(as_forecaster(tiny_artefact)), model_subject(tiny_model)
    assert on_disk.sha256 == in_memory.sha256
    assert (on_disk.name, on_disk.option) == ("tiny", "--model tiny")
    assert in_memory.option == ""


def test_a_forecaster_of_ones_own_is_known_by_its_code(fixed_forecaster):
    subject = model_subject(fixed_forecaster())
    assert subject.kind == "model"
    assert subject.name.endswith(":FixedForecaster")
    assert len(subject.sha256) == 64


def test_an_audit_of_a_function_leaves_nothing(folder, candles):
    assert lbt.audit(lambda table: table["close"].diff(), candles).is_clean
    assert not folder.exists()
