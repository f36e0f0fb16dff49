"""Runs a command that may make no memory executable, as a unit with MemoryDenyWriteExecute= (prctl(2), PR_SET_MDWE).

As a script: no_new_code.py COMMAND... Status 77 where the kernel knows of no such thing.
"""

import ctypes
import os
import sys

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
UNKNOWN = 77

if __name__ == "__main__":
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
        sys.exit(UNKNOWN)
    os.execvp(sys.argv[1], sys.argv[1:])
