"""What a run takes of its machine."""

from charlens.runs import host


def test_a_gpu_is_asked_for_where_the_settings_want_one():
    assert host.gpus("cuda") == 1 and host.gpus("fast") == 0
