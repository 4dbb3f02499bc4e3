"""Runs a program with the system calls that a unit of systemd leaves it, and with no others.

Usage: python confined.py '@system-service ~@privileged' program [argument ...]
"""

import ctypes
import errno
import os
import subprocess
import sys

# Of linux/prctl.h, linux/seccomp.h and seccomp.h.
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 38, 65
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def read_group(name: str) -> set[str]:
    """The system calls of a group of systemd's, and of the groups in it."""
    command = ["systemd-analyze", "syscall-filter", name]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {line.strip() for line in told.splitlines()[1:] if line.strip()[:1] not in ("", "#")}
    groups = {name for name in names if name.startswith("@")}
    return (names - groups).union(*(read_group(group) for group in groups))


def choose(rules: str) -> set[str]:
    """The calls of each group that is named, without those of each that has a `~`."""
    words = rules.split()
    allowed = set().union(*(read_group(word) for word in words if word[0] != "~"))
    return allowed.difference(*(read_group(word[1:]) for word in words if word[0] == "~"))


def confine(allowed: set[str]) -> None:
    """Has the kernel refuse all other calls, and memory that is both written and run."""
    libc, library = ctypes.CDLL(None), ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(REFUSE)))
    for name in allowed:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            assert library.seccomp_rule_add(rules, ctypes.c_uint32(ALLOW), number, 0) == 0, name
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    # Of Linux 6.3 and later.
    libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)
    assert library.seccomp_load(rules) == 0


if __name__ == "__main__":
    confine(choose(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
