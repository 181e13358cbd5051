"""Exports appear whole: what a crash leaves, and what the next export does about it."""

import os
import subprocess
import sys
import textwrap

import pytest

from histobridge.core import export
from histobridge.core.config import ExportConfig
from histobridge.core.errors import InputError
from histobridge.core.export_publish import published, recover
from histobridge.core.perform import perform
from histobridge.core.sample import make_sample_project

DEAD = 2**22 + 5
"""A process number that Linux never gives."""


def test_a_process_killed_in_the_middle_leaves_the_old_export_and_the_next_clears_up(tmp_path):
    final = tmp_path / "a.ome.zarr"
    final.mkdir()
    (final / "old").touch()
    script = f"""
        import os
        from pathlib import Path
        from histobridge.core.export_publish import published
        with published(Path({str(final)!r}), replace=True) as beside:
            beside.mkdir()
            (beside / "half").touch()
            os.kill(os.getpid(), 9)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -9
    assert [path.name for path in final.iterdir()] == ["old"]
    assert len(list(tmp_path.iterdir())) == 2
    recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_an_export_killed_between_the_two_renames_comes_back(tmp_path):
    (tmp_path / f"a.ome.zarr.old-{DEAD}-00112233").mkdir()
    (tmp_path / f"a.ome.zarr.tmp-{DEAD}-00112233").mkdir()
    (tmp_path / f"a.ome.zarr.old-{DEAD}-00112233" / "old").touch()
    recover(tmp_path)
    assert [path.name for path in (tmp_path / "a.ome.zarr").iterdir()] == ["old"]
    assert len(list(tmp_path.iterdir())) == 1


def test_clearing_up_touches_neither_other_files_nor_living_exports(tmp_path):
    names = ["notes.tmp-1", "photo.png.tmp", f"b.png.tmp-{os.getpid()}-00112233"]
    for name in [*names, f"c.png.tmp-{DEAD}-00112233"]:
        (tmp_path / name).touch()
    recover(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_folder_is_replaced_whole(tmp_path):
    final = tmp_path / "a.ome.zarr"
    for name in ("first", "second"):
        with published(final, replace=True) as beside:
            beside.mkdir()
            (beside / name).touch()
    assert [path.name for path in final.iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]


def test_an_export_killed_after_a_file_appeared_and_before_that_was_noted_goes_on(tmp_path, monkeypatch):
    project = make_sample_project(tmp_path / "nerve", fields=1, size=64)
    (record,) = project.images("source")
    run = project.create_run("export", ExportConfig(domain="source"))

    def killed(path, value, write=export.write_json):
        if path.name == export.WRITTEN:
            raise KeyboardInterrupt
        write(path, value)

    with monkeypatch.context() as kill:
        kill.setattr(export, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            perform(run)
    assert (project.path / ExportConfig().out / f"{record.id}.ome.zarr").exists()
    assert [entry["image"] for entry in perform(run)["written"]] == [record.id]
    with pytest.raises(InputError, match="exists already"):
        perform(project.create_run("export", ExportConfig(domain="source")))
