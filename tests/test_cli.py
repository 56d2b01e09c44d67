"""The command line: how it ends when the user, or the program that reads, has had enough."""

import argparse
import dataclasses
import errno
import importlib
import signal
import subprocess
import sys
from fractions import Fraction

import pytest
import torch

from charlens import arguments, cli
from charlens.networks import model_file, network
from charlens.networks.architecture import Architecture
from charlens.training import recipe


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def run(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("charlens.training.sample.run", run)
    assert cli.main(["sample", "m.safetensors"]) == 130
    assert capsys.readouterr().err.startswith("charlens: interrupted; ")


def test_an_interrupt_during_imports_is_one_line():
    code = (
        "import importlib, os, signal, sys\n"
        "from charlens import cli\n"
        "def interrupted(name):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    except BaseException as error:\n"
        "        raise ImportError('what some libraries make of it') from error\n"
        "importlib.import_module = interrupted\n"
        "sys.exit(cli.main(['sample', 'm.safetensors']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.startswith("charlens: interrupted; ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error, words",
    [
        (MemoryError("Unable to allocate 3 GiB\nfor an array"), "out of memory or threads"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (RuntimeError("can't start new thread"), "out of memory or threads"),
        (ImportError("libx.so: failed to map segment from shared object"), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "free some space and rerun"),
    ],
)
def test_exhausted_memory_and_disk_are_one_line(error, words, monkeypatch, capsys):
    def run(args):
        raise error

    monkeypatch.setattr("charlens.training.sample.run", run)
    assert cli.main(["sample", "m.safetensors"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("charlens: error: ") and said.count("\n") == 1
    assert words in said and "rerun" in said


def test_an_error_of_ours_is_no_lack_of_memory(monkeypatch):
    def run(args):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("charlens.training.sample.run", run)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli.main(["sample", "m.safetensors"])


@pytest.fixture
def saved(tmp_path):
    arch = Architecture("rnn", 1, 3, 2)
    params = network.initialise(arch, 1.0, torch.Generator().manual_seed(1))
    about = dataclasses.asdict(arch) | {"corpus": "c", "alphabet": b"a\xff".hex()}
    model_file.save(tmp_path / "m.safetensors", params, about)
    return str(tmp_path / "m.safetensors")


def test_it_ends_quietly_when_nobody_reads_on(saved):
    command = [sys.executable, "-m", "charlens.cli", "sample", saved, "--length", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(5)
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        said = process.stderr.read().splitlines()  # without a compiled backend, one line about it
        assert [line for line in said if not line.startswith(b"charlens: plain torch")] == []


def test_any_byte_may_be_the_start(saved, capfdbinary):
    start = b"\xff".decode(errors="surrogateescape")  # as Python reads it from a command line
    assert cli.main(["sample", saved, "--start", start, "--length", "0"]) == 0
    assert capfdbinary.readouterr().out == b"\xff\n"
    assert cli.main(["sample", saved, "--start", "b"]) == 1
    assert b"the model's alphabet has no 'b'" in capfdbinary.readouterr().err


def test_a_job_that_is_stopped_leaves_nothing_half_written(tmp_path):
    code = (
        "import sys, time\n"
        "from charlens import cli, files\n"
        "from charlens.networks import half\n"
        "def run(args):\n"
        "    with files.atomic(args.out) as part:\n"
        "        part.write_text('half')\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "half.run = run\n"
        "sys.exit(cli.main(['half', 'a', '--out', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out.bin")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout.readline() == "begun\n" and list(tmp_path.iterdir())
        job.terminate()
        assert job.wait(timeout=30) == 143
    assert not list(tmp_path.iterdir())


def test_a_renamed_verb_keeps_its_old_name_and_says_so(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr("charlens.claims.contiguous_split.run", ran.append)
    arguments = ["--scores", "a", "--splits", "b", "--corpora", "c", "--csv", "d", "--html", "e"]
    for verb in ("layouts", "contiguous-split"):
        assert cli.main([verb, *arguments]) == 0
        said = capsys.readouterr().err
        assert ("layouts is now called contiguous-split" in said) == (verb == "layouts")
        assert said.count("\n") == (verb == "layouts")
    assert [args.verb for args in ran] == ["contiguous-split"] * 2


def every_option():
    for verb, (place, _) in cli.VERBS.items():
        module, _, name = place.partition(":")
        imported = importlib.import_module(f"charlens.{module}")
        parser = argparse.ArgumentParser(formatter_class=cli.Help)
        getattr(imported, f"add_{name}_arguments", imported.add_arguments)(parser)
        for action in parser._actions:
            yield verb, action, parser._get_formatter()


def test_every_option_says_what_it_is_and_its_default():
    for verb, action, formatter in every_option():
        where = f"{verb} {'/'.join(action.option_strings) or action.dest}"
        assert action.help, where
        told = formatter._expand_help(action)
        if action.default not in (None, "", [], "==SUPPRESS==") and action.default is not False:
            assert "default" in told, where


def test_every_number_has_bounds():
    """Of every verb: what is no number of its kind is refused."""
    bounded = 0
    for verb, action, _ in every_option():
        where = (verb, action.option_strings)
        assert action.type not in (int, float, Fraction) or action.dest in recipe.SOUND, where
        if getattr(action.type, "__module__", "") == arguments.__name__:
            for value in ("-1", "nan", "inf", "1/0", "", "x", "1e999"):
                with pytest.raises(argparse.ArgumentTypeError, match="expected a .*, got "):
                    action.type(value)
            bounded += 1
    assert bounded > 40


def test_a_number_out_of_bounds_is_one_line(capsys):
    assert cli.main(["split", "--fractions", "0.8", "0.1", "1/0"]) == 1
    said = "charlens: error: --fractions: expected a share such as 0.8 or 4/5, at least 0 and at"
    assert capsys.readouterr().err == f"{said} most 1, got 1/0\n"


@pytest.mark.parametrize("verb", ["cells", "ablate", "claims", "contiguous-split", "types"])
def test_an_interval_needs_many_samples(verb, capsys):
    (option,) = (
        action.option_strings[0]
        for its, action, _ in every_option()
        if its == verb and action.dest in ("samples", "resamples")
    )
    assert cli.main([verb, option, "999"]) == 1
    assert "at least 1,000, got 999" in capsys.readouterr().err


def test_the_version_and_the_bare_command(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("charlens ")
    assert cli.main([]) == 0
    assert "usage: charlens" in capsys.readouterr().out
