"""Benchmarks: what is claimed about speed, measured side by side on one machine. `python -m bench --help`."""

import sys
from pathlib import Path

# The core layer is found where the checkout keeps it; Lambda finds the same names below /opt/python.
sys.path.append(str(Path(__file__).resolve().parent.parent / "layers" / "core"))
