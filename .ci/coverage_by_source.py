"""Lines and branches of gcovr's JSON by their place in the source.

    python coverage_by_source.py coverage.json functions

A body that is compiled for every instruction set and precision counts once, and has run where any has. Of
functions that are not in the file of names, which are not in the extension, nothing counts. Those that gcovr
has no name for do count.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path


def counts(file, functions):
    """How often each line ran, and each branch of each line."""
    lines, branches = defaultdict(int), defaultdict(int)
    for line in file["lines"]:
        if line["function_name"] not in functions and not line["function_name"].startswith("<unknown"):
            continue
        number, of_line = line["line_number"], line.get("branches", [])
        lines[number] = max(lines[number], line["count"])
        for i, branch in enumerate(of_line):
            place = number, len(of_line), i
            branches[place] = max(branches[place], branch["count"])
    return lines, branches


def listed(numbers):
    return ", ".join(map(str, sorted(numbers))) or "none"


def main(path, names):
    functions, totals = set(Path(names).read_text(encoding="utf-8").split()), defaultdict(lambda: [0] * 4)
    for file in json.loads(Path(path).read_text(encoding="utf-8"))["files"]:
        lines, branches = counts(file, functions)
        figures = sum(map(bool, lines.values())), len(lines), sum(map(bool, branches.values())), len(branches)
        not_run = {number for number, count in lines.items() if not count}
        in_part = {number for (number, _, _), count in branches.items() if not count} - not_run
        print(f"{file['file']:34} lines {figures[0]}/{figures[1]}  branches {figures[2]}/{figures[3]}")
        if not_run or in_part:
            print(f"    not run: {listed(not_run)}; in part: {listed(in_part)}")
        for folder in (Path(file["file"]).parent.as_posix(), "csrc"):
            totals[folder] = [a + b for a, b in zip(totals[folder], figures, strict=True)]
    for folder, (run, lines, taken, branches) in sorted(totals.items()):
        of_branches = f"branches {taken}/{branches} {taken / branches:.1%}"
        print(f"{folder:14} lines {run}/{lines} {run / lines:.1%}, {of_branches}")


if __name__ == "__main__":
    main(*sys.argv[1:])
