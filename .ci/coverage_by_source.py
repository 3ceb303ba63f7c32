"""Lines and branches of gcovr's JSON by their place in the source.

A body that is compiled for every instruction set and precision counts once, and has run where any has.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path


def counts(file):
    """How often each line ran, and each branch of each line."""
    lines, branches = defaultdict(int), defaultdict(int)
    for line in file["lines"]:
        number, of_line = line["line_number"], line.get("branches", [])
        lines[number] = max(lines[number], line["count"])
        for i, branch in enumerate(of_line):
            place = number, len(of_line), i
            branches[place] = max(branches[place], branch["count"])
    return lines, branches


def main(path):
    totals = [0, 0, 0, 0]
    for file in json.loads(Path(path).read_text(encoding="utf-8"))["files"]:
        lines, branches = counts(file)
        run, taken = sum(map(bool, lines.values())), sum(map(bool, branches.values()))
        missing = ", ".join(str(number) for number, count in sorted(lines.items()) if not count)
        print(f"{file['file']:34} lines {run}/{len(lines)}  branches {taken}/{len(branches)}  {missing}")
        totals = [a + b for a, b in zip(totals, (run, len(lines), taken, len(branches)), strict=True)]
    run, lines, taken, branches = totals
    print(f"lines {run}/{lines} {run / lines:.1%}, branches {taken}/{branches} {taken / branches:.1%}")


if __name__ == "__main__":
    main(sys.argv[1])
