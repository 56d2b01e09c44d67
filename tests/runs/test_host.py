"""What a run takes of its machine."""

import pytest

from charlens.errors import InputError
from charlens.runs import host


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    host.lock(tmp_path / "run")
    host.lock(tmp_path / "other")
    with pytest.raises(InputError, match="is writing here"):
        host.lock(tmp_path / "run")


def test_a_gpu_is_asked_for_where_the_settings_want_one():
    assert host.gpus("cuda") == 1 and host.gpus("fast") == 0
