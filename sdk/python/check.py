"""Formatting, lints and types of the Python SDK, one after the other; ends with status 1 if anything is found.

Needs `ruff` and `mypy` beside this interpreter: `pip install ruff mypy`. Run it from anywhere.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
CHECKS = (("ruff", "format", "--check"), ("ruff", "check"), ("mypy",))


def main() -> int:
    """Run every check, also after one that found something."""
    failed = 0
    for check in CHECKS:
        print("+", *check, flush=True)
        failed |= subprocess.run([sys.executable, "-m", *check], cwd=FOLDER, check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
