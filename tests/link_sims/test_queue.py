"""A list of runs: what is done stays done, what failed is tried again, bad files are one line."""

import json

import pytest

from link_sims.errors import UserError
from link_sims.registry import find
from link_sims.runs.queue import read_queue, run_queue

TWO = """
[[run]]
name = "double/link-table"
profile = "smoke"
[[run]]
name = "nowhere/at-all"
"""


def test_runs_what_is_left(tmp_path):
    file = tmp_path / "queue.toml"
    file.write_text(TWO)
    left = run_queue(file, tmp_path / "runs")
    assert left == ["nowhere/at-all --profile=published"]
    folder = tmp_path / "runs" / "double" / "link-table" / "smoke"
    before = (folder / "results.json").stat().st_mtime_ns
    done = json.loads((tmp_path / "runs" / "queue.json").read_text())
    assert [entry["exit"] for entry in done.values()] == [0, 2]
    file.write_text(TWO.replace("nowhere/at-all", "double/link-table"))
    assert run_queue(file, tmp_path / "runs", hours=0) == ["double/link-table --profile=published"]
    assert (folder / "results.json").stat().st_mtime_ns == before


def test_changes_become_options(tmp_path):
    file = tmp_path / "queue.toml"
    file.write_text('[[run]]\nname = "a/b"\nset = {snr_db = [0, 5], scale = "big"}\n')
    assert read_queue(file) == [
        ["a/b", "--profile=published", "--set=snr_db=[0, 5]", '--set=scale="big"']
    ]


@pytest.mark.parametrize(
    "text", ["", "run = 3", "[[run]]\nprofile = 'smoke'", "[[run]]\nname = 'a'\nseeds = 3", "[["]
)
def test_bad_files(tmp_path, text):
    file = tmp_path / "queue.toml"
    file.write_text(text)
    with pytest.raises(UserError, match="FILE = .*is needed"):
        read_queue(file)


def test_the_shipped_queue_names_published_profiles():
    import link_sims.papers

    file = f"{link_sims.papers.__path__[0]}/published.toml"
    for name, profile in (command[:2] for command in read_queue(file)):
        find(name).resolve(profile.removeprefix("--profile="))
