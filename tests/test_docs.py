"""The documentation: the tutorial works as it is written, links lead somewhere, and Sphinx builds it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lstm_backtrader as lbt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def patched(text: str, diff: str) -> str:
    """`text` with removed lines replaced by the added ones after them, or these put after a kept line."""
    for removed, added, kept in _hunks(diff):
        anchor = "".join(removed) or kept
        assert text.count(anchor) == 1, f"{anchor!r} must stand in the script once"
        text = text.replace(anchor, "".join(added) if removed else kept + "".join(added))
    return text


def _hunks(diff: str) -> list[tuple[list[str], list[str], str]]:
    found: list[tuple[list[str], list[str], str]] = []
    removed: list[str] = []
    added: list[str] = []
    kept = ""
    for line in [*diff.splitlines(keepends=True), " \n"]:
        if added and not line.startswith("+"):
            found.append((removed, added, kept))
            removed, added = [], []
        if line.startswith("-"):
            removed = [*removed, line[1:]]
        elif line.startswith("+"):
            added = [*added, line[1:]]
        else:
            kept = line[1:]
    return found


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LBT_LEDGER": str(tmp_path / "ledger.jsonl")}
    said: list[str] = []
    for language, code in BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8")):
        if language == "python":
            (tmp_path / code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
        elif language == "diff":
            script = tmp_path / "trade.py"
            script.write_text(patched(script.read_text(encoding="utf-8"), code), encoding="utf-8")
        else:
            assert language == "sh"
            for line in code.splitlines():
                program, *arguments = shlex.split(line)
                start = {"python": [], "lbt": ["-c", "from lstm_backtrader.cli import main; main()"]}[program]
                done = subprocess.run(
                    [sys.executable, *start, *arguments],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{line}\n{done.stderr}"
                said.append(done.stdout)
    _, averages, trained, alone, leveraged, judged = said
    assert float(averages) < 10_000
    assert "2023-01-01" in trained
    assert 50_000 < float(leveraged) < float(alone)
    assert "Against zero: significant" in judged
    assert "liquidation" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_sphinx_builds_it_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    pytest.importorskip("myst_parser", reason="the extra `docs` is not installed")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "--keep-going",
            "-q",
            "-b",
            "html",
            str(DOCS),
            str(tmp_path / "html"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "html" / "reference.html").read_text(encoding="utf-8")
    for name in lbt.__all__:
        assert f">{name}<" in reference or name in ("datafeeds", "strategies"), f"{name} is not in the reference"


def test_the_answers_of_how_to_run_one_after_the_other(
    tiny_market: pd.DataFrame, tiny_artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LBT_LEDGER", str(tmp_path / "ledger.jsonl"))
    tiny_market.to_parquet("BTCUSDT-1h.parquet")
    tiny_market.to_parquet("BTCUSDT-1h-mark.parquet")
    pd.DataFrame({"funding_rate": 1e-4}, index=tiny_market.index[::8]).to_parquet("BTCUSDT-8h-funding.parquet")
    shutil.copytree(tiny_artefact, "models/btc-1h")
    found: dict[str, Any] = {"__name__": __name__}  # Backtrader looks for the module of a strategy
    for code in re.findall(r"```python\n(.*?)```", (DOCS / "how-to.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(code, found)
    assert len(found["baselines"]) == 2
    assert Path("report.html").stat().st_size > 10_000
    assert lbt.load_model("models/btc-walk").models
