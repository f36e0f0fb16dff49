"""The command line: one thin module per verb, no logic. Data goes to stdout, talk to stderr; 0 fine, 1 wrong, 2 usage."""
