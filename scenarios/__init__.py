"""Many hosts: launch, fault, observe, judge, report; the `shoal` command."""
