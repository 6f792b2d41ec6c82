"""Compiled loops of the layout. Imported inside functions only: numba is heavy.

None of them depends on the number of threads: a place is moved by what the others' places were before, and random
numbers are hashes of (seed, epoch, point).
"""

import math
from typing import Any

import numpy as np
from numba import njit, uint32

_ARITHMETIC = {"nnan", "nsz", "arcp", "contract", "reassoc", "afn"}
"""What the compiler may reorder or round; there is no NaN, but infinity means something."""
_compiled: Any = njit(cache=True, nogil=True, fastmath=_ARITHMETIC, boundscheck=False, error_model="numpy")
_SMOOTHEST = 1e-3
_NARROWEST = 1e-30
_TOLERANCE = 1e-5
_HALVINGS = 64
_PULLS_TOGETHER = 6
"""Pulls after which their pushes come: many at a time run faster, few keep the broad picture."""
_HALF_WAY = np.float32(0.5)
"""Largest part of the way to the other end that one pull goes: both ends meet in the middle."""
_FARTHEST = np.float32(4.0)
"""Farthest step along each axis that one push makes at full rate, as umap-learn has it."""


@_compiled
def _width(distances, nearest, target):
    """The width at which exp(-(distance - nearest) / width) over a row sums to a target, by bisection."""
    low, high, width = 0.0, np.inf, 1.0
    for _ in range(_HALVINGS):
        total = 0.0
        for distance in distances:
            total += math.exp(-max(distance - nearest, 0.0) / width)
        if abs(total - target) < _TOLERANCE:
            break
        if total > target:
            high = width
        else:
            low = width
        width = width * 2 if high == np.inf else (low + high) / 2
    return width


@_compiled
def membership(first, last, distances, mean_distance, weights):
    """How firmly each point holds its neighbours (McInnes et al. 2018, section 3.1).

    Args:
        first: first row.
        last: the one after the last.
        distances: (n, k) float32, ascending, the point itself not among them.
        mean_distance: of all of them.
        weights: (n, k) float32 to write, from 0 to 1: 1 for the nearest, falling so that a row sums to log2(k + 1).
    """
    k = distances.shape[1]
    target = math.log2(k + 1.0)
    for i in range(first, last):
        nearest = np.float32(0)
        mean = 0.0
        for q in range(k):
            mean += distances[i, q] / k
            if nearest == 0:
                nearest = distances[i, q]
        least = _SMOOTHEST * (mean if nearest > 0 else mean_distance)
        width = max(_width(distances[i], nearest, target), least, _NARROWEST)
        for q in range(k):
            weights[i, q] = math.exp(-max(distances[i, q] - nearest, 0.0) / width)


@_compiled
def turn_around(ids, weights, points):
    """The edges (n, k) seen from their other ends.

    Returns:
        Starts (points + 1,) int64, sources (n * k,) int32, ascending for each point, and weights (n * k,) float32.
    """
    n, k = ids.shape
    starts = np.zeros(points + 1, np.int64)
    for i in range(n):
        for q in range(k):
            starts[ids[i, q] + 1] += 1
    for j in range(points):
        starts[j + 1] += starts[j]
    free = starts[:-1].copy()
    sources = np.empty(n * k, np.int32)
    back = np.empty(n * k, np.float32)
    for i in range(n):
        for q in range(k):
            place = free[ids[i, q]]
            sources[place] = i
            back[place] = weights[i, q]
            free[ids[i, q]] = place + 1
    return starts, sources, back


@_compiled
def _sort_by_id(ids, weights):
    for q in range(1, len(ids)):
        p = q
        one, weight = ids[q], weights[q]
        while p > 0 and ids[p - 1] > one:
            ids[p] = ids[p - 1]
            weights[p] = weights[p - 1]
            p -= 1
        ids[p] = one
        weights[p] = weight


@_compiled
def count_united(first, last, ids, weights, starts, sources, back, least, sizes):
    """Sort the neighbours of each point by id, and count its edges in the union of both directions.

    Args:
        first: first point.
        last: the one after the last.
        ids: (n, k) int32 neighbours; sorted in place.
        weights: (n, k) float32, likewise.
        starts: of the reverse edges of each point.
        sources: their other ends, ascending.
        back: their weights.
        least: edges below this weight are left out.
        sizes: (n,) int64 to write.
    """
    for i in range(first, last):
        _sort_by_id(ids[i], weights[i])
        sizes[i] = _merge_edges(ids[i], weights[i], sources, back, starts[i], starts[i + 1], least, sources, back, -1)


@_compiled
def unite(first, last, ids, weights, starts, sources, back, least, united_starts, ends, united):
    """Write the union of both directions of every edge: a + b - a b (the probabilistic t-conorm of UMAP).

    Args:
        first: first point.
        last: the one after the last.
        ids: (n, k) int32 neighbours, sorted.
        weights: (n, k) float32, likewise.
        starts: of the reverse edges of each point.
        sources: their other ends, ascending.
        back: their weights.
        least: edges below this weight are left out.
        united_starts: (n + 1,) int64, where the edges of each point are to begin.
        ends: (m,) int32 to write.
        united: (m,) float32 to write.
    """
    for i in range(first, last):
        place = united_starts[i]
        _merge_edges(ids[i], weights[i], sources, back, starts[i], starts[i + 1], least, ends, united, place)


@njit(inline="always")
def _merge_edges(ids, weights, sources, back, start, stop, least, ends, united, place):
    """Merge two lists sorted by id; write from `place` on unless it is -1; return how many edges there are."""
    q, r, count = 0, start, 0
    while q < len(ids) or r < stop:
        if r >= stop or (q < len(ids) and ids[q] < sources[r]):
            end, weight = ids[q], weights[q]
            q += 1
        elif q >= len(ids) or sources[r] < ids[q]:
            end, weight = sources[r], back[r]
            r += 1
        else:
            end, weight = ids[q], weights[q] + back[r] - weights[q] * back[r]
            q += 1
            r += 1
        if weight >= least:
            if place >= 0:
                ends[place + count] = end
                united[place + count] = weight
            count += 1
    return count


@_compiled
def force_tables(a, b, lowest, highest, bits):
    """Coefficients of attraction and repulsion by squared distance, at the exponent and leading bits of a float32.

    Args:
        a: of the curve 1 / (1 + a d^2b).
        b: of the curve.
        lowest: binary exponent of the smallest squared distance.
        highest: the one after the largest.
        bits: leading bits of the mantissa; the relative error is about b / 2^(bits + 1).
    """
    size = (highest - lowest) << bits
    attraction = np.empty(size, np.float32)
    repulsion = np.empty(size, np.float32)
    for place in range(size):
        step = ((place & ((1 << bits) - 1)) + 0.5) / (1 << bits)
        square = 2.0 ** (lowest + (place >> bits)) * (1.0 + step)
        power = a * square**b
        attraction[place] = 2.0 * b * power / square / (power + 1.0)
        repulsion[place] = 2.0 * b / ((1e-3 + square) * (power + 1.0))
    return attraction, repulsion


@njit(inline="always")
def _mixed(number):
    """A well mixed 32-bit hash of a 32-bit number."""
    number = uint32(number ^ uint32(number >> uint32(16)))
    number = uint32(number * uint32(0x85EBCA6B))
    return uint32(number ^ uint32(number >> uint32(13)))


@njit(inline="always")
def _held(step):
    return min(max(step, -_FARTHEST), _FARTHEST)


@_compiled
def _push(x, y, count, number, pool, repulsion, shift, base):
    """Sum what `count` random points push, all at one place, so that the loop runs in vector registers."""
    top = np.int32(len(repulsion) - 1)
    size = np.uint64(len(pool) // 2)
    push_x = np.float32(0)
    push_y = np.float32(0)
    for r in range(count):
        drawn = _mixed(uint32(number + uint32(r) * uint32(0x9E3779B9)))
        j = np.int64((np.uint64(drawn) * size) >> np.uint64(32))
        dx = x - pool[2 * j]
        dy = y - pool[2 * j + 1]
        place = np.int32(np.float32(dx * dx + dy * dy).view(np.uint32) >> shift) - base
        force = repulsion[min(max(place, np.int32(0)), top)]
        push_x += _held(force * dx)
        push_y += _held(force * dy)
    return _held(push_x), _held(push_y)


@_compiled
def descend(first, last, places, moved, edges, pool, tables, lowest, bits, epoch, seed, rate):
    """One epoch of the descent for the points `first` to `last`: pulled along their edges, pushed by random others.

    An edge of weight w pulls in a share w of the epochs, from both of its ends, as if each were drawn once a direction.
    After every few pulls come the five pushes of each.

    Args:
        first: first point.
        last: the one after the last.
        places: (n, 2) float32, where all points are; read only.
        moved: (n, 2) float32, gets the new places of these points.
        edges: starts (n + 1,), ends (m,), weights (m,) from 0 to 1.
        pool: (2 p,) float32, x and y of the points that push.
        tables: attraction and repulsion, from `force_tables`.
        lowest: binary exponent at which the tables begin.
        bits: of their index.
        epoch: from 1.
        seed: of the random numbers.
        rate: how far a step goes.
    """
    starts, ends, weights = edges
    attraction, repulsion = tables
    shift = uint32(23 - bits)
    base = np.int32((lowest + 127) << bits)
    top = np.int32(len(attraction) - 1)
    for i in range(first, last):
        x = places[i, 0]
        y = places[i, 1]
        number = _mixed(uint32(uint32(i * 2654435761) ^ uint32(epoch * 0x9E3779B1) ^ uint32(seed)))
        pulled = 0
        for q in range(starts[i], starts[i + 1]):
            weight = weights[q]
            if np.int32(epoch * weight) == np.int32((epoch - 1) * weight):
                continue
            pulled += 1
            j = ends[q]
            dx = x - places[j, 0]
            dy = y - places[j, 1]
            square = dx * dx + dy * dy
            if square > 0:
                place = np.int32(np.float32(square).view(np.uint32) >> shift) - base
                pull = attraction[min(max(place, np.int32(0)), top)]
                step = min(rate * 2 * pull, _HALF_WAY)
                x -= step * dx
                y -= step * dy
            if pulled == _PULLS_TOGETHER:
                push_x, push_y = _push(x, y, 5 * _PULLS_TOGETHER, number, pool, repulsion, shift, base)
                x += rate * push_x
                y += rate * push_y
                number = _mixed(uint32(number + uint32(0x7F4A7C15)))
                pulled = 0
        push_x, push_y = _push(x, y, 5 * pulled, number, pool, repulsion, shift, base)
        moved[i, 0] = x + rate * push_x
        moved[i, 1] = y + rate * push_y
