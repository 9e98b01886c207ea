"""Run every benchmark: ``python benchmarks/run_all.py [--short] [--output DIR]``."""

import argparse
import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"harness", "run_all"}


def main():
    """Run them one after the other; exit with how many broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="small sizes, few repeats")
    parser.add_argument("--output", help="folder for one CSV file each")
    parser.add_argument("names", nargs="*", help="which (default: all)")
    arguments = parser.parse_args()
    options = ["--short"] * arguments.short
    if arguments.output:
        options += ["--output", arguments.output]
    broken = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        is_wanted = path.stem in arguments.names if arguments.names else True
        if path.stem in NOT_BENCHMARKS or not is_wanted or not _is_benchmark(path):
            continue
        print(f"== {path.name}", flush=True)
        if subprocess.run([sys.executable, path, *options], check=False).returncode:
            broken.append(path.name)
    if broken:
        sys.exit(f"{len(broken)} broke: {', '.join(broken)}")


def _is_benchmark(path):
    """Helpers and recipes live here too; a benchmark hands itself to the harness."""
    return "run(benchmark" in path.read_text()


if __name__ == "__main__":
    main()
