"""Time residence and reorientation of water in layers, and compare them with sums over all pairs of times.

    python examples/benchmarks/interface_dynamics.py --frames 100000 --waters 100

Waters hop between layers as a Markov chain and turn by a random walk, from a seed. Our sums are exact; the direct ones
are the same double sum over time origins and lags in numpy, a product of two shifted arrays for each lag, for as many
lags as ``--direct-lags`` says, since all of them would take hours. Both use one thread, and processor time counts,
which other jobs disturb less. The program ends with status 1 if a sum deviates by more than ``--tolerance`` relative
to the number of pairs.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np

from aiida_edl.science.analysis.layer_correlation import continuous_sums, intermittent_sums, reorientation_sums, stays

LEAVE = 0.002
"""Probability per frame to go to a neighbouring layer."""
TURN = 0.1
"""Size of a random step of the direction [radian]."""
N_LAYERS = 3
FRAMES_AT_ONCE = 100


def synthetic_waters(n_frames: int, n_waters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return layers ``(n_waters, n_frames)`` and unit vectors ``(n_waters, n_frames, 3)`` in single precision."""
    random = np.random.default_rng(seed)
    layers = np.empty((n_waters, n_frames), dtype=np.int8)
    directions = np.empty((n_waters, n_frames, 3), dtype=np.float32)
    layer, direction = random.integers(0, N_LAYERS, n_waters), random.normal(size=(n_waters, 3))
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        count = min(FRAMES_AT_ONCE, n_frames - start)
        hops = np.where(random.random((count, n_waters)) < LEAVE, random.choice([-1, 1], (count, n_waters)), 0)
        steps = TURN * random.normal(size=(count, n_waters, 3))
        for index in range(count):
            layer = np.clip(layer + hops[index], 0, N_LAYERS - 1)
            direction = direction / np.linalg.norm(direction, axis=1, keepdims=True) + steps[index]
            layers[:, start + index] = layer
            directions[:, start + index] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return layers, directions


def our_sums(layers: np.ndarray, directions: np.ndarray, n_lags: int) -> tuple[np.ndarray, dict[str, float]]:
    """Return all sums, shape ``(n_layers, 6, n_lags)``, and the processor times taken [s]."""
    known = np.ones(layers.shape, dtype=bool)
    seconds = {'intermittent': 0.0, 'continuous': 0.0, 'reorientation': 0.0}
    result = np.empty((N_LAYERS, 6, n_lags))
    for layer in range(N_LAYERS):
        inside = layers == layer
        begin = time.process_time()
        result[layer, 0:2] = intermittent_sums(inside, known, n_lags)
        middle = time.process_time()
        found = stays(inside, known)
        result[layer, 2:4] = continuous_sums(found, layers.shape[1], n_lags)
        last = time.process_time()
        result[layer, 4:6] = reorientation_sums(directions, found, n_lags)
        seconds['intermittent'] += middle - begin
        seconds['continuous'] += last - middle
        seconds['reorientation'] += time.process_time() - last
    return result, seconds


def direct_sums(layers: np.ndarray, directions: np.ndarray, n_lags: int) -> tuple[np.ndarray, float]:
    """Return the same sums for the first lags, and the processor time taken [s]."""
    result = np.zeros((N_LAYERS, 6, n_lags))
    begin = time.process_time()
    n_frames = layers.shape[1]
    for layer in range(N_LAYERS):
        inside = layers == layer
        stayed = inside.copy()
        for lag in range(n_lags):
            origins = slice(0, n_frames - lag)
            stayed = stayed[:, origins] & inside[:, lag:]
            cosines = np.einsum('wfx,wfx->wf', directions[:, origins], directions[:, lag:], dtype=np.float64)[stayed]
            result[layer, :, lag] = (
                np.sum(inside[:, origins] & inside[:, lag:]),
                inside[:, origins].sum(),
                stayed.sum(),
                inside[:, origins].sum(),
                cosines.sum(),
                np.sum(1.5 * cosines**2 - 0.5),
            )
    return result, time.process_time() - begin


def main() -> int:
    """Run the benchmark; return 1 if sums deviate."""
    parser = argparse.ArgumentParser(description='time residence and reorientation of water in layers')
    parser.add_argument('--frames', type=int, default=100_000)
    parser.add_argument('--waters', type=int, default=100)
    parser.add_argument('--direct-lags', type=int, default=10, help='lags of the direct sums')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--tolerance', type=float, default=1e-9)
    arguments = parser.parse_args()
    layers, directions = synthetic_waters(arguments.frames, arguments.waters, arguments.seed)
    n_lags = arguments.frames // 2 + 1
    ours, seconds = our_sums(layers, directions, n_lags)
    n_direct = min(arguments.direct_lags, n_lags)
    direct, direct_seconds = direct_sums(layers, directions, n_direct)
    deviation = float(np.abs(ours[:, :, :n_direct] - direct).max() / direct[:, 2].max())
    total = sum(seconds.values())
    # Each lag of the direct sums costs less than the one before: half of the lags hold three quarters of the pairs.
    extrapolated = direct_seconds / n_direct * n_lags * 0.75
    report = {
        'n_frames': arguments.frames,
        'n_waters': arguments.waters,
        'n_layers': N_LAYERS,
        'n_lags': n_lags,
        'seconds': {**seconds, 'all': total},
        'direct_seconds_per_lag': direct_seconds / n_direct,
        'direct_over_ours_for_all_lags': extrapolated / total,
        'largest_deviation': deviation,
        'peak_memory_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(report, indent=2) + '\n')
    return int(deviation > arguments.tolerance)


if __name__ == '__main__':
    sys.exit(main())
