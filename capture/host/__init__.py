"""Whether this host is fit to capture: a table of checks (`table.py`) over facts that one root and one reader give.

Changes nothing. A fact that cannot be read makes its check `unknown`, with the reason.
"""
