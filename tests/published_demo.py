"""Whether what `charlens publish` makes of the finished demo is what the demo has.

It gives the verbs their arguments apart from the workflow's rules. `.ci/run` calls this after
`make demo`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

RUN = Path(__file__).parents[1] / "results/demo"

with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", "charlens.cli", "publish", str(RUN), folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    published = {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("tables", "figures", "figure5")
        for path in Path(folder, part).glob("*.csv")
    }
differ = [name for name, content in published.items() if (RUN / name).read_bytes() != content]
lost = {f"tables/{path.name}" for path in RUN.glob("tables/*.csv")} - set(published)
print(f"{len(published)} tables are published of {RUN}")
for word, names in (("differ", differ), ("are missing", lost)):
    if names:
        sys.exit(f"{word}: {', '.join(sorted(names))}")
