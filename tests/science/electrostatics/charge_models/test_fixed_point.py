"""Fixed points: how many steps they take, and what is said of those that are not found."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from aiida_edl.science.electrostatics.charge_models.fixed_point import (  # noqa: E402
    FixedPointError,
    Mixing,
    fixed_point,
    iterate,
)


def linear_update(slopes):
    """Return a linear update with given slopes along random directions, and its fixed point."""
    generator = torch.Generator().manual_seed(1)
    directions, _ = torch.linalg.qr(torch.randn(len(slopes), len(slopes), generator=generator, dtype=torch.float64))
    matrix = directions * torch.tensor(slopes, dtype=torch.float64) @ directions.T
    constant = torch.randn(len(slopes), generator=generator, dtype=torch.float64)
    exact = torch.linalg.solve(torch.eye(len(slopes), dtype=torch.float64) - matrix, constant)
    return (lambda values: constant + matrix @ values), exact


def test_a_linear_update_takes_as_many_steps_as_it_has_slopes():
    update, exact = linear_update([-0.5, -0.5, -3.0, -3.0, -40.0, -40.0])
    values, residuals = iterate(update, torch.zeros(6, dtype=torch.float64), Mixing(0.3, 1e-9, 20), 'values')
    assert torch.allclose(values, exact, atol=1e-8)
    assert len(residuals) <= 6


def test_strong_responses_need_all_steps():
    slopes = [-0.2 * 1.5**number for number in range(12)]
    update, exact = linear_update(slopes)
    start = torch.zeros(12, dtype=torch.float64)
    values, _ = iterate(update, start, Mixing(0.3, 1e-8, 60), 'values')
    assert torch.allclose(values, exact, atol=1e-7)
    with pytest.raises(FixedPointError, match=r'^values did not converge in '):
        iterate(update, start, Mixing(0.3, 1e-8, 60, depth=3), 'values')


def test_history_of_what_was_not_found_is_kept():
    with pytest.raises(FixedPointError) as caught:
        iterate(lambda values: 2.0 * values + 1.0, torch.zeros(1), Mixing(0.3, 1e-6, 3, depth=1), 'values')
    assert len(caught.value.residuals) == 4


def test_derivative_is_that_of_the_fixed_point():
    slope, constant = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (-0.7, 2.0))
    found = fixed_point(
        lambda p: constant + slope * p, torch.zeros(1, dtype=torch.float64), Mixing(tolerance=1e-12), 'p'
    )
    found.values.sum().backward()
    assert float(constant.grad) == pytest.approx(1.0 / 1.7)
    assert float(slope.grad) == pytest.approx(2.0 / 1.7**2)
