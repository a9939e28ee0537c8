"""How much stack a thread has: one that runs guests needs 1 MiB, or a guest that recurses without
end would crash the process instead of trapping.
"""

from __future__ import annotations

import ctypes
import sys
import threading

from reifydb.errors import RequestError

STACK_BYTES_MIN = 1 << 20
"""wasm may use 512 KiB of it (`max_wasm_stack`); 640 KiB were just enough in all."""

_LINUX = sys.platform == "linux"


def require_stack() -> None:
    """Raises `RequestError` if the calling thread's stack is too small to run guests."""
    size = stack_bytes()
    if size is not None and size < STACK_BYTES_MIN:
        raise RequestError(
            f"this thread's stack of {size // 1024:,} KiB is too small to run transitions",
            hint="call threading.stack_size(1 << 20) or more before starting the thread",
        )


def stack_bytes() -> int | None:
    """Size of the calling thread's stack; None where the system does not say."""
    if not _LINUX or threading.current_thread() is threading.main_thread():
        return None  # the main thread's grows, up to `ulimit -s`
    try:
        libc = ctypes.CDLL(None)
        libc.pthread_self.restype = ctypes.c_void_p
        attributes = (ctypes.c_char * 256)()
        thread = ctypes.c_void_p(libc.pthread_self())
        if libc.pthread_getattr_np(thread, attributes) != 0:
            return None
        size = ctypes.c_size_t()
        libc.pthread_attr_getstacksize(attributes, ctypes.byref(size))
        libc.pthread_attr_destroy(attributes)
    except (AttributeError, OSError):
        return None
    return size.value
