"""Mutated models, scored by the compiled code under sanitizers: run by test_fuzz.py.

python sanitized.py FOLDER CASES SEED
"""

import json
import sys
from pathlib import Path

from subjects import Models
from tally import Tally
from test_fuzz import fuzz, prepare_backend

from charlens.backends.cpu import build

SANITIZE = ["-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


class Sanitized(Models):
    backend = "fast"


def main() -> None:
    folder, cases, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    build.FLAGS += SANITIZE
    build.folders = lambda: [folder / "library"]
    if why := prepare_backend():
        sys.exit(f"no compiled code: {why}")
    (folder / "work").mkdir()
    count = Tally("fuzz", "sanitized code")
    fuzz(Sanitized(folder / "work"), cases, count, seed)
    print(json.dumps(count.counts))


if __name__ == "__main__":
    main()
