"""NumPy's own allocator, with one request for the numbers of an array refused.

What NEP 49 offers to C, by way of ctypes: the arrays that a thread makes while `refuse` calls something have
their numbers from malloc, and one request for them is refused.
"""

import ctypes

import numpy as np

SET_HANDLER = 304  # the place of PyDataMem_SetHandler in NumPy's table of functions

address, size = ctypes.c_void_p, ctypes.c_size_t
allocating = ctypes.CFUNCTYPE(address, address, size)
clearing = ctypes.CFUNCTYPE(address, address, size, size)
resizing = ctypes.CFUNCTYPE(address, address, address, size)


class Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", address),
        ("malloc", allocating),
        ("calloc", clearing),
        ("realloc", resizing),
        ("free", address),
    )


def of_libc(name, result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)((name, ctypes.CDLL(None)))


malloc, calloc = of_libc("malloc", address, size), of_libc("calloc", address, size, size)
realloc = of_libc("realloc", address, address, size)
requests_left = None  # before the one that is refused; None: none is


def unless_refused(function):
    def requested(_, *arguments):
        global requests_left
        if requests_left is not None:
            requests_left -= 1
            if requests_left < 0:
                requests_left = None
                return None
        return function(*arguments)

    return requested


handler = Handler(
    b"refusing",
    1,
    None,
    allocating(unless_refused(malloc)),
    clearing(unless_refused(calloc)),
    resizing(unless_refused(realloc)),
    ctypes.cast(ctypes.CDLL(None).abs, address),
)


def set_handler(capsule):
    """The handler before."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = address, [ctypes.py_object, ctypes.c_char_p]
    table = pointer(np._core._multiarray_umath._ARRAY_API, None)
    function = address.from_address(table + SET_HANDLER * ctypes.sizeof(address)).value
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(function)(capsule)


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [address, ctypes.c_char_p, address]
NAME = b"mem_handler"
capsule = new_capsule(ctypes.addressof(handler), NAME, None)


def refuse(n, call):
    """What call() raises when its request n is refused, counted from 0; None if it returns."""
    global requests_left
    before, raised = set_handler(capsule), None
    requests_left = n
    try:
        call()
    except BaseException as error:
        raised = error
    finally:
        requests_left = None
        set_handler(before)
    return raised
