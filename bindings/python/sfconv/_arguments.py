# SPDX-License-Identifier: BSD-2-Clause
"""Numbers and texts as C takes them. By itself ctypes cuts a number to the bits there are, and C a
text at its first NUL."""

import ctypes
import operator

PAIR = ctypes.c_int64 * 2


def whole(kind, value, name):
    """A whole number that fits the C type `kind`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected a whole number") from None
    if kind(number).value != number:
        count = 1 << 8 * ctypes.sizeof(kind)
        least = -count // 2 if kind(-1).value < 0 else 0
        raise OverflowError(f"{name} is {number}, expected {least} to {least + count - 1}")
    return number


def wholes(kind, values, name):
    """An array of whole numbers."""
    return (kind * len(values))(*(whole(kind, value, name) for value in values))


def pair(value, name):
    """Height and width from one number or two."""
    values = value if hasattr(value, "__len__") else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} is {value!r}, expected one number or two")
    return wholes(ctypes.c_int64, values, name)


def text(_, value, name):
    """A text in UTF-8; a path comes in bytes."""
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{name} is {value!r}, expected a text")
    coded = value.encode() if isinstance(value, str) else value
    if b"\0" in coded:
        raise ValueError(f"{name} is {value!r}, expected no NUL character")
    return coded


CONVERSIONS = {
    ctypes.c_char_p: text,
    PAIR: lambda _, value, name: pair(value, name),
    ctypes.c_int32: whole,
    ctypes.c_int64: whole,
    ctypes.c_size_t: whole,
    ctypes.c_uint64: whole,
}


def fitting(kind, value, name):
    """The value of an argument or field of a C type; others than these are left to ctypes."""
    convert = CONVERSIONS.get(kind)
    return convert(kind, value, name) if convert else value
