"""Compiled loops of the neighbour search. Imported inside functions only: numba is heavy.

Loops over rows take the first row and the one after the last, so that several threads can share the work.

Lists of neighbours are kept sorted by (value, id), so that what a list holds in the end does not depend on the order
in which candidates came, nor on the number of threads. A value is small where two points are close.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

_ARITHMETIC = {"nnan", "nsz", "arcp", "contract", "reassoc", "afn"}
"""What the compiler may reorder or round; there is no NaN, but infinity means something."""
_BYTES = ir.IntType(8).as_pointer()
_READ_AND_KEEP = (0, 3, 1)
"""For reading, to all caches, data."""
_CACHE_LINE = 64
_compiled: Any = njit(cache=True, nogil=True, fastmath=_ARITHMETIC, boundscheck=False, error_model="numpy")


@njit(inline="always")
def _insert(ids, values, candidate, value):
    """Put a candidate into a sorted list where it is among the nearest; of two values of one id the smaller counts."""
    last = len(ids) - 1
    if value > values[last] or (value == values[last] and candidate >= ids[last]):
        return
    place = last
    for q in range(last + 1):
        if ids[q] == candidate:
            if values[q] <= value:
                return
            place = q
            break
    while place > 0 and (values[place - 1] > value or (values[place - 1] == value and ids[place - 1] > candidate)):
        values[place] = values[place - 1]
        ids[place] = ids[place - 1]
        place -= 1
    values[place] = value
    ids[place] = candidate


@_compiled
def copy_rows(vectors, scales, chosen, rows):
    """Write the chosen rows of (n, d) vectors, each times its scale, into the first d columns of (m, ...) rows."""
    for a in range(len(chosen)):
        scale = scales[chosen[a]]
        for e in range(vectors.shape[1]):
            rows[a, e] = vectors[chosen[a], e] * scale


@_compiled
def keep_nearest(products, offsets, own, rows, candidates, ids, values):
    """Offer one block of candidates to the lists of some rows.

    Args:
        products: (m, c) float32 dot products of m queries with c candidates.
        offsets: (c,) float32; the value of a pair is the candidate's offset less its product.
        own: (m,) int32 id that a query must not get, -1 for none.
        rows: (m,) int64 places of the queries in `ids` and `values`.
        candidates: (c,) int32 ids.
        ids: (n, k) int32 lists, filled with a large id where they are empty.
        values: (n, k) float32, infinite where they are empty.
    """
    last = ids.shape[1] - 1
    for a in range(products.shape[0]):
        row = rows[a]
        bar = values[row, last]
        for b in range(products.shape[1]):
            value = offsets[b] - products[a, b]
            if value <= bar and candidates[b] != own[a]:
                _insert(ids[row], values[row], candidates[b], value)
                bar = values[row, last]


@_compiled
def merge_lists(first, last, rows, part_ids, part_values, ids, values):
    """Offer the (m, k) lists of a part of the search to those of its m distinct rows among all."""
    for a in range(first, last):
        row = rows[a]
        for q in range(part_ids.shape[1]):
            if part_values[a, q] < np.inf:
                _insert(ids[row], values[row], part_ids[a, q], part_values[a, q])


@njit(inline="always")
def _value(left, right, left_scale, right_scale, by_angle):
    """Negative cosine of two rows, or their squared Euclidean distance; two zero rows have the same direction."""
    total = np.float32(0)
    if by_angle:
        if left_scale == 0 and right_scale == 0:
            return np.float32(-1)
        for e in range(len(left)):
            total += left[e] * right[e]
        return np.float32(-total * left_scale * right_scale)
    for e in range(len(left)):
        step = left[e] - right[e]
        total += step * step
    return total


@_compiled
def quantize(first, last, vectors, bytes_, scales):
    """Round each row of (n, d) float32 vectors to bytes, and note 1 / length of what that gives, 0 for zero rows."""
    for i in range(first, last):
        largest = np.float32(0)
        for e in range(vectors.shape[1]):
            largest = max(largest, abs(vectors[i, e]))
        step = np.float32(127) / largest if largest > 0 else np.float32(0)
        square = np.float32(0)
        for e in range(vectors.shape[1]):
            rounded = np.rint(vectors[i, e] * step)
            bytes_[i, e] = np.int8(rounded)
            square += rounded * rounded
        scales[i] = 1 / math.sqrt(square) if square > 0 else 0.0


@njit(inline="always")
def _angle_of_bytes(left, right, left_scale, right_scale):
    """Negative cosine of two rows of bytes; two zero rows have the same direction."""
    if left_scale == 0 and right_scale == 0:
        return np.float32(-1)
    total = np.int32(0)
    for e in range(len(left)):
        total = np.int32(total + np.int32(np.int32(left[e]) * np.int32(right[e])))
    return np.float32(-np.float32(total) * left_scale * right_scale)


@_compiled
def rescore(first, last, vectors, scales, by_angle, queries, query_scales, ids, values):
    """Replace the values of lists, which matrix products rounded, by those of the rows themselves, and sort again."""
    k = ids.shape[1]
    for i in range(first, last):
        for q in range(k):
            if values[i, q] == np.inf:
                continue
            j = ids[i, q]
            value = _value(queries[i], vectors[j], query_scales[i], scales[j], by_angle)
            place = q
            while place > 0 and (
                values[i, place - 1] > value or (values[i, place - 1] == value and ids[i, place - 1] > j)
            ):
                values[i, place] = values[i, place - 1]
                ids[i, place] = ids[i, place - 1]
                place -= 1
            values[i, place] = value
            ids[i, place] = j


@_compiled
def reverse_lists(ids, values, is_new, capacity):
    """Find who has each point in its list.

    Args:
        ids: (r, n) int32, the r nearest of each point, transposed.
        values: (r, n) float32, likewise; infinite where there is nobody.
        is_new: (r, n) bool, likewise.
        capacity: how many are remembered, those first to whom the point is nearest.

    Returns:
        (n, capacity) int32 ids, (n, capacity) bool whether new, (n,) int32 how many there are.
    """
    ranks, n = ids.shape
    sources = np.empty((n, capacity), np.int32)
    fresh = np.empty((n, capacity), np.bool_)
    counts = np.zeros(n, np.int32)
    for q in range(ranks):
        for i in range(n):
            if values[q, i] == np.inf:
                continue
            j = ids[q, i]
            count = counts[j]
            if count < capacity:
                sources[j, count] = i
                fresh[j, count] = is_new[q, i]
                counts[j] = count + 1
    return sources, fresh, counts


@_compiled
def _put(ids, values, flags, candidate, value):
    """Put a point that is in no list yet into a sorted list where it is among the nearest, and mark it as new."""
    place = len(ids) - 1
    if value > values[place] or (value == values[place] and candidate > ids[place]):
        return
    while place > 0 and (values[place - 1] > value or (values[place - 1] == value and ids[place - 1] > candidate)):
        values[place] = values[place - 1]
        ids[place] = ids[place - 1]
        flags[place] = flags[place - 1]
        place -= 1
    values[place] = value
    ids[place] = candidate
    flags[place] = True


@intrinsic
def _prefetch(_context, rows, row, byte):
    """Ask the processor to bring the cache line at a byte of a row of a (n, d) array; nothing waits for it."""

    def generate(context, builder, signature, arguments):
        array = make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, array.strides, 2)[0]
        start = builder.add(builder.mul(arguments[1], stride), arguments[2])
        place = builder.gep(builder.bitcast(array.data, _BYTES), [start])
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, ir.IntType(32), ir.IntType(32), ir.IntType(32)])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [place, *(ir.IntType(32)(number) for number in _READ_AND_KEEP)])
        return context.get_dummy_value()

    return types.void(rows, types.int64, types.int64), generate


@_compiled
def _ask_for(vectors, row):
    """Ask the processor to bring a row of vectors."""
    for byte in range(0, vectors.shape[1] * vectors.itemsize, _CACHE_LINE):
        _prefetch(vectors, row, byte)  # type: ignore[call-arg] # numba brings the context


@_compiled
def _follow(i, j, is_fresh, coarse, old, explored, seen, waiting, mine, mine_values, flags):
    """Compare point i with point j and the neighbours of j, as far as no earlier pass has and this one has not.

    All rows are asked for before the first is read: they lie anywhere, and memory answers many requests at a time.
    """
    vectors, scales, by_angle = coarse
    ids, values, is_new = old
    count = 0
    for r in range(-1, explored):
        if r < 0:
            if not is_fresh:
                continue
            c = j
        else:
            if values[j, r] == np.inf or not (is_fresh or is_new[j, r]):
                continue
            c = ids[j, r]
        if seen[c] == i:
            continue
        seen[c] = i
        waiting[count] = c
        count += 1
        _ask_for(vectors, c)
    for place in range(count):
        c = waiting[place]
        if by_angle:
            value = _angle_of_bytes(vectors[i], vectors[c], scales[i], scales[c])
        else:
            value = _value(vectors[i], vectors[c], scales[i], scales[c], False)
        _put(mine, mine_values, flags, c, value)


@_compiled
def explore(first, last, coarse, chosen, targets, explored, old, reverse, new):
    """Look among the neighbours of the neighbours of some points for nearer ones (NN-descent; Dong et al. 2011).

    Reads the old lists only, so the outcome depends neither on the order of the points nor on threads. Pairs that an
    earlier pass has compared are skipped: a step is taken only where one of its two edges is new.

    Args:
        first: place in `chosen` of the first point.
        last: the one after the last.
        coarse: (n, d) vectors, float32 or bytes by angle; (n,) float32 1 / length, 0 for zero rows; whether by angle.
        chosen: (m,) int32, the points, best in an order in which neighbours follow each other, for the sake of caches.
        targets: (m,) int32 places of their new lists.
        explored: how many neighbours of a point are followed.
        old: ids (n, k) int32, values (n, k) float32 and is_new (n, k) bool of the lists so far.
        reverse: what `reverse_lists` returned.
        new: ids, values and is_new to write.
    """
    ids, values, is_new = old
    sources, fresh, counts = reverse
    new_ids, new_values, new_flags = new
    n, k = ids.shape
    seen = np.full(n, -1, np.int32)
    waiting = np.empty(explored + 1, np.int32)
    for place in range(first, last):
        i = chosen[place]
        mine, mine_values, flags = new_ids[targets[place]], new_values[targets[place]], new_flags[targets[place]]
        seen[i] = i
        for q in range(k):
            mine[q] = ids[i, q]
            mine_values[q] = values[i, q]
            flags[q] = False
            if values[i, q] < np.inf:
                seen[ids[i, q]] = i
        for q in range(explored):
            if values[i, q] < np.inf:
                _follow(i, ids[i, q], is_new[i, q], coarse, old, explored, seen, waiting, mine, mine_values, flags)
        for q in range(counts[i]):
            _follow(i, sources[i, q], fresh[i, q], coarse, old, explored, seen, waiting, mine, mine_values, flags)
