"""`python -m blemish`."""

from blemish.cli.main import main

main()
