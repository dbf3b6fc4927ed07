"""Run all benchmarks, one after the other: `make bench`. Figures are ratios taken in one run, and medians."""

import subprocess
import sys
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("bench_*.py")):
    print(f"\n== {script.stem.removeprefix('bench_')}", flush=True)
    subprocess.run([sys.executable, script], check=True)
