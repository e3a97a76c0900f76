"""Runs a command that must not outlive its parent: `python -m pytake_gql.development.child <pid> <command> …`.

A parent that is killed cannot stop its children. The kernel can: what is asked of it here survives the exec.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it was gone before we could ask
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the parent's own command


if __name__ == "__main__":
    main()
