"""How long a user waits for the import and for the help."""

from __future__ import annotations

import sys
import time

from harness import SOURCE, Options, options, parser, printed, spread, table

IMPORT = "import time; start = time.perf_counter(); import blemish; print(time.perf_counter() - start)"
HELP = "import sys; from blemish.cli.main import main; sys.argv = ['blemish', '--help']; main()"


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    imports, helps = [], []
    for _ in range(10):
        imports.append(float(printed(sys.executable, IMPORT, given, str(SOURCE))))
        start = time.perf_counter()
        printed(sys.executable, HELP, given, str(SOURCE))
        helps.append(time.perf_counter() - start)
    rows = [
        ("`import blemish`", spread(imports), "less than 0.3"),
        ("`blemish --help`, the whole process", spread(helps), "less than 0.5"),
    ]
    return "\n\n".join(["## Starting", table(("", "seconds", "wanted"), rows)])


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
