"""The benchmark of sums: its fits, searches, tables and input for LAMMPS; how fast anything is, is not asserted."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('numba')

from electrode_cases import find_lammps
from lammps_cases import environment, missing

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / 'examples' / 'benchmarks'


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    """Let the parts of the benchmark be imported as the program itself imports them."""
    monkeypatch.syspath_prepend(str(PROGRAMS))


def row(atoms, program='own_p3m', seconds=1e-3, family='water', **others):
    times = {'processor_seconds': [seconds, 0.9 * seconds, 1.2 * seconds], 'wall_seconds': [seconds] * 3}
    memory = {'search_processor_seconds': [seconds], 'peak_megabytes': 100.4, 'evaluations': 10}
    place = {'system': f'{family}_{atoms}', 'family': family, 'atoms': atoms, 'program': program}
    return {**place, 'is_orthorhombic': True, 'error': 9e-4, 'settings': {'cutoff': 5.0}, **times, **memory, **others}


def skipped(atoms, program, reason, family='water'):
    place = {'system': f'{family}_{atoms}', 'family': family, 'atoms': atoms, 'program': program}
    return {**place, 'is_orthorhombic': True, 'reason': reason}


def document(points):
    machine = {'processor': 'a processor', 'cores': 2, 'memory_gigabyte': 8.0, 'accelerator': None}
    machine |= {'jobs_at_once': 1, 'load_at_start': 0.25}
    return {'target': 1e-3, 'hardware': machine, 'versions': {'numpy': '2.4.6'}, 'points': points}


def test_exponent_is_recovered_with_its_error():
    from parts.long_range_points import fitted_exponent

    generator = np.random.default_rng(3)
    atoms = np.array([648.0, 3000.0, 12288.0, 41472.0, 98304.0])
    values, errors = [], []
    for _ in range(400):
        found = fitted_exponent(atoms, 1e-6 * atoms**1.17 * np.exp(generator.normal(scale=0.05, size=5)))
        values.append(found.value)
        errors.append(found.error**2)
    assert found.n_sizes == 5
    # 400 fits scatter by 0.0127 each, so their mean is known to 0.0006 and their variance to a tenth.
    assert np.mean(values) == pytest.approx(1.17, abs=0.003)
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(values), rel=0.2)


def test_search_finds_the_largest_number_that_meets_a_target():
    from parts.timed_sums import largest_that_meets

    number, error = largest_that_meets(lambda x: 0.02 * x**3.5, 3.0, 1e-3, slope=1.0)
    assert 0.85e-3 <= error <= 1e-3
    assert number == pytest.approx((error / 0.02) ** (1 / 3.5))
    assert largest_that_meets(lambda x: 1.0, 3.0, 1e-3, slope=1.0) is None


def test_stand_ins_of_large_systems_are_whole_fractions_of_them():
    from parts.charge_cases import WATER_ATOMS, ChargeCase, cases

    found = cases(['water', 'crystals'], 300000)
    assert len(found) == len(WATER_ATOMS) + 48
    assert max(case.n_atoms for case in found if not case.is_water) == 262144
    for case in found:
        stand_in, factor = case.stand_in(6000)
        assert stand_in.n_atoms * factor**3 == case.n_atoms
        assert stand_in.n_atoms <= 6000
    small, factor = ChargeCase('water', 12288).stand_in(6000)
    assert factor * np.diag(small.system().cell) == pytest.approx(np.diag(ChargeCase('water', 12288).system().cell))


def test_repeats_have_ten_evaluations_or_more():
    from parts.timed_sums import TimePlan

    assert TimePlan(10.0).repeats_of(1e-4) == (2, 2000)
    assert TimePlan(10.0).repeats_of(2.5) == (1, 10)


def test_times_are_read_from_a_log_of_lammps():
    from parts.lammps_sums import chosen_numbers, step_times

    log = (
        '  G vector (1/distance) = 0.25\n  grid = 20 24 25\n'
        'Loop time of 1e-06 on 1 procs for 0 steps with 648 atoms\n\n0.0% CPU use with 1 MPI tasks\n'
        'Loop time of 0.2 on 1 procs for 10 steps with 648 atoms\n\n50.0% CPU use with 1 MPI tasks\n'
    )
    assert step_times(log) == ([0.02], [0.01])
    assert chosen_numbers(log) == {'mesh': [20, 24, 25], 'alpha': 0.25}


def test_tables_hold_each_point_with_times_or_its_reason(tmp_path):
    from parts.long_range_report import included_text, render

    points = [row(648, seconds=2e-3), row(648, 'lammps_pppm', seconds=1e-3)]
    points += [row(atoms, seconds=1e-6 * atoms) for atoms in (1296, 2592)]
    points += [skipped(2592, 'lammps_ewald', 'it takes too long; pppm is cheaper')]
    points += [row(64, family='cscl'), skipped(64, 'torch_pme_p3m_float64', 'the cell is oblique', family='cscl')]
    render(document(points), tmp_path)
    text = (tmp_path / 'tables.txt').read_text()
    assert text == included_text(document(points))
    assert 'a processor with 8.0 GB of memory, accelerator: none' in text
    assert '| 648 | aiida-edl P3M | 0.90 | 2 (1.8 to 2.4) | 2.00 | 4 | 2.00 | 100 |' in text
    assert '| 2,592 | LAMMPS ewald |  |  |  |  |  | not measured |' in text
    assert '| LAMMPS ewald | it takes too long; pppm is cheaper | water 2592 |' in text
    assert '| torch-pme P3M, float64 | the cell is oblique | cscl 64 |' in text
    assert '| torch-pme on a GPU | not measured: no GPU | all |' in text
    with (tmp_path / 'water.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [(each['atoms'], each['not_measured'] != '') for each in rows] == [
        ('648', False),
        ('648', False),
        ('1296', False),
        ('2592', False),
        ('2592', True),
    ]
    assert {path.name for path in tmp_path.glob('*.svg')} == {'water.svg', 'crystals.svg'}


def test_run_goes_on_where_it_was(tmp_path, monkeypatch):
    import long_range

    path = tmp_path / 'points.json'
    header = {'target': 1e-3, 'hardware': {}, 'versions': {}}
    results = long_range.Results(path, header)
    results.add(row(648))
    results.add(skipped(648, 'lammps_ewald', long_range.TIME_IS_UP))
    results.add(skipped(648, 'torch_pme_p3m_float64', 'it needs too much memory'))
    again = long_range.Results(path, header)
    programs = ('own_p3m', 'lammps_ewald', 'torch_pme_p3m_float64', 'lammps_pppm')
    assert [again.has('water_648', program) for program in programs] == [True, False, True, False]
    with pytest.raises(SystemExit, match=r'holds points for a target of 0\.001 eV/Å: give another file'):
        long_range.Results(path, {**header, 'target': 1e-4})


def test_trial_that_used_no_processor_has_a_time():
    from parts.lammps_sums import step_times, trial_seconds

    log = (
        'Loop time of 5e-05 on 1 procs for 10 steps with 2 atoms\n\n0.0% CPU use with 1 MPI tasks x 1 OpenMP threads\n'
    )
    assert step_times(log) == ([5e-6], [0.0])
    assert trial_seconds(log) == 5e-6


@pytest.mark.slow
@pytest.mark.skipif(missing('engines') is not None, reason=str(missing('engines')))
@pytest.mark.parametrize('name', ['nacl_cubic_2', 'nacl_primitive_4', 'wigner_bcc_4'])
def test_input_of_lammps_has_our_units_axes_and_background(name):
    from parts.charge_cases import case_named
    from parts.lammps_sums import LammpsSum

    from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
    from aiida_edl.science.electrostatics.converged_sum import converged_settings, root_mean_square

    system = case_named(name).system()
    ours = CompiledSummation(converged_settings(system, 1e-7))(system)
    settings = {'cutoff': 10.0, 'accuracy': 1e-8, 'differentiation': 'ik'}
    energy, forces = LammpsSum('ewald', find_lammps()).energy_and_forces(system, settings)
    # LAMMPS rounds the Coulomb constant at the eighth digit and tabulates pairs to 1e-6 eV/Å.
    assert energy == pytest.approx(ours.energy, rel=2e-6)
    assert root_mean_square(forces - ours.forces) < 3e-6


@pytest.mark.slow
@pytest.mark.skipif(missing('engines') is not None, reason=str(missing('engines')))
def test_short_run_meets_the_target(tmp_path):
    variables = {**os.environ, 'OMP_NUM_THREADS': '1'}
    python = str(environment('engines') / 'python')
    command = [python, str(PROGRAMS / 'long_range.py'), '--systems', 'water_648', '--rounds', '1']
    command += ['--programs', 'own_p3m,lammps_pppm', '--seconds', '1']
    command += ['--output', 'points.json', '--render', 'rendered']
    done = subprocess.run(command, cwd=tmp_path, env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / 'points.json').read_text())['points']
    assert [(each['system'], each['program']) for each in found] == [
        ('water_648', 'own_p3m'),
        ('water_648', 'lammps_pppm'),
    ]
    for each in found:
        assert 3e-4 < each['error'] <= 1e-3
        assert min(each['processor_seconds']) > 0
    assert (tmp_path / 'rendered' / 'tables.txt').is_file()
