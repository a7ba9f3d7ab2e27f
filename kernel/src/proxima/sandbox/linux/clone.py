"""`os.fork` with flags: a child in namespaces of its own from its first instruction.

Source: `clone(2)`, `PR_GET_TID_ADDRESS` in `prctl(2)`; Python's C API, "Process Control", for what a fork must tell it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import threading
from collections.abc import Callable

from proxima.sandbox.linux.syscalls import call, numbers

_CHILD_CLEARTID, _CHILD_SETTID = 0x00200000, 0x01000000
_PR_GET_TID_ADDRESS = 40


def clone(flags: int) -> int:
    """Fork this process, which must have one thread.

    Args:
        flags: `CLONE_NEW*`.

    Returns:
        The child's pid; 0 in the child.

    Raises:
        OSError: the kernel refused.
    """
    python = ctypes.pythonapi
    call_clone = prepared(flags)
    python.PyOS_BeforeFork()
    pid = int(call_clone())
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    number = ctypes.get_errno()
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone: {os.strerror(number)}")
    return pid


@functools.cache
def prepared(flags: int) -> Callable[[], int]:
    """The system call alone, of which Python is told nothing; answers as libc does.

    What it says of this thread is as true in whatever is forked from here.
    """
    thread_id = _address_of_thread_id()
    if thread_id:
        flags |= _CHILD_SETTID | _CHILD_CLEARTID
    # The thread's storage stays the same; its place among the arguments differs between architectures.
    last = (thread_id, 0) if os.uname().machine == "x86_64" else (0, thread_id)
    libc = ctypes.PyDLL(None, use_errno=True)  # unlike CDLL's, its calls keep Python's global lock
    libc.syscall.restype = ctypes.c_long
    words = (numbers(os.uname().machine)["clone"], flags | signal.SIGCHLD, 0, 0, *last)
    return functools.partial(libc.syscall, *(ctypes.c_long(each) for each in words))


def _address_of_thread_id() -> int:
    """Where libc keeps this thread's number, of which the child has another; 0 where that is not known.

    Libc then asks the kernel where it matters.
    """
    address = ctypes.c_void_p()
    try:
        call("prctl", _PR_GET_TID_ADDRESS, address, 0, 0, 0)
    except OSError:
        return 0  # a kernel without CONFIG_CHECKPOINT_RESTORE
    if address.value and ctypes.c_int.from_address(address.value).value == threading.get_native_id():
        return address.value
    return 0  # musl, which has something else cleared when a thread ends
