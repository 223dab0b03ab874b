"""Ctrl-C ends a command in the midst of a training at once, and leaves nothing half-written."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lstm_backtrader as lbt

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches a process by another way there")

AT_ONCE_S = 30.0  # a second or two on an idle machine; the next evaluation of such a training is minutes away
ENDLESS = ("--horizon", 4, "--context", 32, "--stride", 8, "--hidden", 6, "--embargo", 24, "--steps", 1_000_000)


@pytest.fixture(scope="module")
def data(tiny_market, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "candles.parquet"
    tiny_market.rename_axis("timestamp").reset_index().to_parquet(path)
    return path


@pytest.fixture
def interrupted(data, tmp_path):
    """`interrupted("train", ...)` begins the command, and presses Ctrl-C once `processes` of it train nets."""
    noting = tmp_path / "noting.py"
    noting.write_text(
        "import os, pathlib, torch\n"
        "clip = torch.nn.utils.clip_grad_norm_\n"
        "def noted(*args):\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'begun-{{os.getpid()}}').touch()\n"
        "    return clip(*args)\n"
        "torch.nn.utils.clip_grad_norm_ = noted\n"
    )
    # a shell has what it runs in the background ignore Ctrl-C, and its children after it
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(tmp_path)!r}); import noting\n"
        "from lstm_backtrader import cli; cli.main()"
    )

    def run(command: str, *options: object, processes: int = 1) -> None:
        asked = [command, "--data", data, "--out", tmp_path / "out", *options]
        with subprocess.Popen(
            [sys.executable, "-c", code, *map(str, asked)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "LBT_LEDGER": str(tmp_path / "ledger.jsonl")},
        ) as process:
            try:
                while len(list(tmp_path.glob("begun-*"))) < processes:
                    assert process.poll() is None, process.communicate()[1]
                    time.sleep(0.01)
                os.killpg(process.pid, signal.SIGINT)  # a terminal tells every process
                pressed = time.monotonic()
                _, err = process.communicate(timeout=120)
                took = time.monotonic() - pressed
            finally:
                process.kill()
        assert err.splitlines()[-1] == "Stopped; nothing half-written was left."
        assert "Traceback" not in err
        assert process.returncode == 130
        assert took < AT_ONCE_S, took

    run.noting = noting  # type: ignore[attr-defined]  # for worker processes
    return run


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_training_leaves_nothing(interrupted, tmp_path, seeds):
    interrupted("train", *ENDLESS, "--seeds", seeds)
    assert not (tmp_path / "out").exists()


def test_a_walk_forward_leaves_its_finished_folds(interrupted, tmp_path):
    interrupted("walk-forward", *ENDLESS, "--train-days", 40, "--step-days", 20)
    assert left_in(tmp_path / "out") == {"folds"}
    assert left_in(tmp_path / "out" / "folds") == {".lock"}


def test_an_evaluation_leaves_nothing(interrupted, tmp_path, tiny_artefact):
    # given
    model = copy.copy(lbt.load_model(tiny_artefact))  # the loaded one is everybody's
    training = {**model.manifest.training, "steps": 1_000_000}
    model.manifest = model.manifest.model_copy(update={"training": training})
    model.save(tmp_path / "model")

    # then
    interrupted("evaluate", "--model", tmp_path / "model")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_leaves_what_it_goes_on_from(interrupted, tmp_path, workers):
    options = ("--folds", 2, "--workers", workers, "--feature-module", interrupted.noting)
    interrupted("tune", *ENDLESS, *options, processes=workers)
    assert left_in(tmp_path / "out") == {".tune.lock", "study.journal", "forecasts"}
    assert not list((tmp_path / "out" / "forecasts").glob("*.npy*"))
