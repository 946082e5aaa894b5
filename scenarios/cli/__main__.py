"""`python -m scenarios.cli`: the shoal command without its console script."""

from scenarios.cli.main import main

main()
