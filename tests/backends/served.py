"""The compiled code for another processor, run in an emulator of it: what `build.library` gives,
its calls served by a program (served.cpp) through pipes."""

import ctypes
import math
import shutil
import struct
import subprocess
import threading
from pathlib import Path

from charlens.backends import cpu
from charlens.backends.cpu import build

# Of Debian: g++-aarch64-linux-gnu, qemu-user.
COMPILER, EMULATE = "aarch64-linux-gnu-g++", ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
AVAILABLE = shutil.which(COMPILER) is not None and shutil.which(EMULATE[0]) is not None


def program(folder: Path) -> Path:
    """Compile served.cpp for 64-bit ARM."""
    made = folder / "served"
    flags = [flag for flag in build.FLAGS if flag not in ("-shared", "-fPIC")]
    command = [COMPILER, *flags, *build.options("neon"), "-I", build.HERE]
    subprocess.run([*command, Path(__file__).with_name("served.cpp"), "-o", made], check=True)
    return made


def scan_sizes(steps: int, streams: int, channels: int) -> list[int]:
    """Bytes of the inputs of a selective scan."""
    window, inputs = steps * streams * channels, steps * streams * 16
    states = channels * 16
    floats = [window] * 3 + [inputs] * 2 + [states, channels, streams * states]
    return [4 * count for count in floats]


class Library:
    """The functions of the library, each one call of the program."""

    def __init__(self, program: Path):
        self.process = subprocess.Popen(
            [*EMULATE, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.sizes: dict[int, tuple] = {}  # of each workspace, as charlens_create takes them
        self.lock = threading.Lock()  # one call at a time

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def charlens_create(self, *sizes):
        with self.lock:
            self._send(b"c", struct.pack("8i", *sizes))
            made = self._number("q")
        self.sizes[made] = sizes
        return made or None

    def charlens_destroy(self, net):
        if not self.process.stdin.closed:
            with self.lock:
                self._send(b"d", struct.pack("q", net))

    def charlens_run(self, net, params, grads, x, y, steps, state, mask, scale, log_probs, targets):
        kind, layers, hidden, symbols, streams, _, context, block = self.sizes[net]
        kind = cpu.KINDS[kind]
        shapes = cpu.parameter_shapes(kind, layers, hidden, symbols, context, block).values()
        sizes = [4 * math.prod(shape) for shape in shapes]
        window, states = streams * steps, cpu.STATES.get(kind, 1)
        state_bytes = 4 * layers * states * streams * hidden
        mask_bytes = layers * window * 2 * math.ceil(hidden / 16)
        written = [(state, state_bytes), (log_probs, 4 * window * symbols), (targets, 4 * window)]
        grads = list(grads or [])
        with self.lock:
            self._send(b"r", struct.pack("qiif", net, len(sizes), steps, scale))
            self._arrays(zip(params, sizes, strict=True))
            self._send(struct.pack("i", len(grads)))
            self._arrays(zip(grads, sizes, strict=False))
            self._arrays([(x, 2 * window * max(context, 1)), (y, 2 * window), written[0]])
            self._arrays([(mask, mask_bytes), *written[1:]])
            loss = self._number("d")
            self._read_into([*zip(grads, sizes, strict=False), *written])
        return loss

    def charlens_rmsprop(self, count, params, grads, squares, sizes, *numbers):
        sizes = [4 * size for size in sizes]
        with self.lock:
            self._send(b"u", struct.pack("i5f", count, *numbers))
            for arrays in (params, grads, squares):
                self._arrays(zip(arrays, sizes, strict=True))
            for arrays in (params, squares):
                self._read_into(zip(arrays, sizes, strict=True))

    def charlens_scan(self, steps, streams, channels, inputs, y, after):
        sizes = scan_sizes(steps, streams, channels)
        written = [(y, sizes[0]), (after, sizes[-1])]
        with self.lock:
            self._send(b"s", struct.pack("3i", steps, streams, channels))
            self._arrays(zip(inputs, sizes, strict=True))
            self._arrays(written)
            done = self._number("i")
            self._read_into(written)
        return done

    def charlens_scan_backward(self, steps, streams, channels, inputs, dy, grads):
        sizes = scan_sizes(steps, streams, channels)
        with self.lock:
            self._send(b"b", struct.pack("3i", steps, streams, channels))
            self._arrays([*zip(inputs, sizes, strict=True), (dy, sizes[0])])
            self._arrays(zip(grads, sizes, strict=False))
            done = self._number("i")
            self._read_into(zip(grads, sizes, strict=False))
        return done

    def _send(self, *parts: bytes) -> None:
        for part in parts:
            self.process.stdin.write(part)

    def _arrays(self, arrays) -> None:
        """Send arrays: (address, bytes), the address None for none."""
        for address, size in arrays:
            content = b"" if address is None else ctypes.string_at(address, size)
            self._send(struct.pack("q", -1 if address is None else size), content)

    def _number(self, form: str):
        self.process.stdin.flush()
        return struct.unpack(form, self.process.stdout.read(struct.calcsize(form)))[0]

    def _read_into(self, arrays) -> None:
        self.process.stdin.flush()
        for address, size in arrays:
            if address is not None:
                ctypes.memmove(address, self.process.stdout.read(size), size)
