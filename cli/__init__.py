"""The command line: one thin module per verb, no logic. Data goes to stdout, talk to stderr."""
