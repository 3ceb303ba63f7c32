"""``python -m backprop``.

Exit codes: 0, 1 for bad data or a failed training, 2 for a wrong command line, 130 for Ctrl-C, which is how
play ends, with 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from backprop.cli.options import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    options = parse(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ValueError, TypeError, ArithmeticError, ImportError, MemoryError, RuntimeError) as error:
        print(f"backprop: error: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
