"""`python -m seqcli`, and the `seqcli` command."""
