"""Label maps compressed straight from their runs: what zlib would find again, pixel by pixel.

The stream is zlib's (RFC 1950) around one block of deflate (RFC 1951) in which a run is its label
and repetitions of it. The block's Huffman code is always the same, made for label maps: nearly all
that they hold are repetitions of 258 pixels, which take two bits or three each.
"""

import heapq
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._jit import kernel
from .components import Runs

#: RFC 1951, section 3.2.5: lengths that a symbol from 257 on begins at, and its bits beyond.
_BASES = (
    *(3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115),
    *(131, 163, 195, 227, 258),
)
_EXTRA = (*(0,) * 8, *(1,) * 4, *(2,) * 4, *(3,) * 4, *(4,) * 4, *(5,) * 4, 0)
_LONGEST = 258
_END = 256
_SYMBOLS = 257 + len(_BASES)
#: Section 3.2.7: in which order the lengths of the code of code lengths are written.
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
#: How often symbols are expected, as a whole for a map of 2048 x 2048: labels of organs and parts,
#: 255 for masks of one organ, any other value, ends of runs by length, repetitions of 258 pixels.
_LABELS, _LABEL_COUNT, _MASK_COUNT, _RARE = 12, 1000, 500, 2
_TAIL_COUNT, _LONG_COUNT = 20, 16000


class _Code(NamedTuple):
    """What the kernel writes: bits, first bit lowest, and how many.

    Attributes:
        values: (256,) uint64 of a pixel of its own.
        value_bits: (256,) int64 how many.
        repeats: (259,) uint64 of so many repetitions of the pixel before; none below 3.
        repeat_bits: (259,) int64 how many.
        head: bytes before all of them, but for the last, unfinished one.
        rest: bits of that one, and how many.
        end: bits of the end, and how many.
    """

    values: npt.NDArray[np.uint64]
    value_bits: npt.NDArray[np.int64]
    repeats: npt.NDArray[np.uint64]
    repeat_bits: npt.NDArray[np.int64]
    head: bytes
    rest: tuple[int, int]
    end: tuple[int, int]


def deflate(runs: Runs) -> bytes:
    """A zlib stream of the (H, W) uint8 label map that the runs are of, row by row.

    An eighth of the time of zlib-ng's fastest level, and smaller than zlib's level 6.
    """
    code = _code()
    pixels = runs.shape[0] * runs.shape[1]
    most = 8 * len(runs.labels) + pixels // 64 + len(code.head) + 16  # four bytes a symbol
    out = np.empty(most, np.uint8)
    out[: len(code.head)] = np.frombuffer(code.head, np.uint8)
    tables = code.values, code.value_bits, code.repeats, code.repeat_bits
    state = len(code.head), code.rest[0], code.rest[1]
    stop = _deflate(runs.starts, runs.stops, runs.labels, *tables, *code.end, *state, out)
    return out[:stop].tobytes()


@cache
def _code() -> _Code:
    counts = [_RARE] * _END + [1] + [_TAIL_COUNT << extra for extra in _EXTRA]
    counts[:_LABELS] = [_LABEL_COUNT] * _LABELS
    counts[255] = _MASK_COUNT
    counts[-1] = _LONG_COUNT
    lengths = _code_lengths(counts)
    codes = _canonical(lengths)
    repeats = np.zeros(_LONGEST + 1, np.uint64)
    repeat_bits = np.zeros(_LONGEST + 1, np.int64)
    for symbol, (base, extra) in enumerate(zip(_BASES, _EXTRA, strict=True), 257):
        for more in range(min(1 << extra, _LONGEST + 1 - base)):  # 258 has a symbol of its own
            # Above them the one bit, 0, of distance 1.
            repeats[base + more] = codes[symbol] | more << lengths[symbol]
            repeat_bits[base + more] = lengths[symbol] + extra + 1
    head, rest = _head(lengths)
    return _Code(
        np.array(codes[:_END], np.uint64),
        np.array(lengths[:_END], np.int64),
        repeats,
        repeat_bits,
        head,
        rest,
        (codes[_END], lengths[_END]),
    )


def _code_lengths(counts: list[int]) -> list[int]:
    """Bits of each symbol in Huffman's code; 0 for those that do not occur."""
    heap: list[tuple[int, int, list[int]]] = [
        (count, symbol, [symbol]) for symbol, count in enumerate(counts) if count
    ]
    heapq.heapify(heap)
    lengths = [0] * len(counts)
    while len(heap) > 1:
        (few, _, one), (more, place, other) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in one + other:
            lengths[symbol] += 1
        heapq.heappush(heap, (few + more, place, one + other))
    return lengths


def _canonical(lengths: list[int]) -> list[int]:
    """Codes by RFC 1951, section 3.2.2, their first bit lowest."""
    codes, code = [0] * len(lengths), 0
    for length in range(1, max(lengths) + 1):
        code <<= 1
        for symbol in [each for each, of in enumerate(lengths) if of == length]:
            codes[symbol] = int(f"{code:0{length}b}"[::-1], 2)
            code += 1
    return codes


def _head(lengths: list[int]) -> tuple[bytes, tuple[int, int]]:
    """zlib's header, and how the block begins: its code, by section 3.2.7."""
    distances = [1, 1]  # one would do, but two are a whole code
    told = lengths + distances
    of_lengths = _code_lengths([told.count(length) for length in range(16)])
    if max(lengths) > 15 or max(of_lengths) > 7:
        raise AssertionError("the code is too long for deflate")
    codes = _canonical(of_lengths)
    bits = [(1, 1), (2, 2), (_SYMBOLS - 257, 5), (len(distances) - 1, 5), (len(_ORDER) - 4, 4)]
    bits += [(of_lengths[symbol] if symbol < 16 else 0, 3) for symbol in _ORDER]
    bits += [(codes[length], of_lengths[length]) for length in told]
    value, count = 0, 0
    for code, length in bits:
        value |= code << count
        count += length
    whole = count // 8
    head = bytes((0x78, 0x01)) + (value & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
    return head, (value >> 8 * whole, count % 8)


@kernel
def _deflate(
    starts,
    stops,
    labels,
    values,
    value_bits,
    repeats,
    repeat_bits,
    end,
    end_bits,
    place,
    rest,
    rest_bits,
    out,
):
    """Write all runs, the end and Adler's checksum (RFC 1950, section 9); returns the length."""
    held, bits = np.uint64(rest), rest_bits
    one, two, modulus = 1, 0, 65521
    run = 0
    while run < len(labels):
        label = labels[run]
        left = stops[run] - starts[run]
        run += 1
        while run < len(labels) and labels[run] == label:  # it goes on in the next row
            left += stops[run] - starts[run]
            run += 1
        # One is the sum of the bytes, two that of all sums so far, each modulo.
        half, other = (left // 2, left + 1) if left % 2 == 0 else (left, (left + 1) // 2)
        triangle = (half % modulus) * (other % modulus) % modulus
        two = (two + left % modulus * one + triangle * label) % modulus
        one = (one + left % modulus * label) % modulus
        alone = True
        while left:
            step = min(left, 258)
            if alone or step < 3:
                step, alone = 1, False
                held |= values[label] << np.uint64(bits)
                bits += value_bits[label]
            else:
                held |= repeats[step] << np.uint64(bits)
                bits += repeat_bits[step]
            left -= step
            while bits >= 8:
                out[place] = held & np.uint64(255)
                held >>= np.uint64(8)
                bits -= 8
                place += 1
    held |= np.uint64(end) << np.uint64(bits)
    bits += end_bits
    while bits > 0:
        out[place] = held & np.uint64(255)
        held >>= np.uint64(8)
        bits -= 8
        place += 1
    for byte in (two >> 8, two & 255, one >> 8, one & 255):
        out[place] = byte
        place += 1
    return place
