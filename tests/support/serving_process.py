"""A process of a line for tests; its stations import this file again, and nothing more."""

import sys

if __name__ == "__main__":
    from tests.support.serving import do

    do(*sys.argv[1:])
