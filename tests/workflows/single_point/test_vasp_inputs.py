"""What VASP is given, to the byte, and what is refused before it is given anything."""

from __future__ import annotations

import re

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Str
from aiida_vasp.data.potcar import PotcarFileData
from vasp_label_cases import (
    atom,
    crystal,
    dataset,
    film,
    settings,
    staged,
)

from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.single_point.vasp import potentials
from aiida_edl.workflows.single_point.vasp.workchain import (
    validate_options,
    validate_single_point,
)


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'paper_a'])
def test_inputs_to_the_byte(vasp, tmp_path, file_regression, protocol):
    """A charged film, a crystal without a charge, and an atom."""
    frames = [film(charge=-1.0), crystal(charge=0.0), atom(charge=0.0)]
    folder = tmp_path / 'jobs'
    staged(vasp, folder, settings(protocol, total_charge_column='charge'), *frames)
    texts = [
        f'--- {shape}: {name} ---\n{(folder / str(index) / name).read_text()}'
        for index, shape in enumerate(('film', 'bulk', 'atom'))
        for name in ('INCAR', 'KPOINTS', 'POSCAR')
    ]
    file_regression.check(''.join(texts))


def test_moments_by_element_reach_the_incar(vasp, tmp_path):
    folder = tmp_path / 'jobs'
    moments = {'MAGMOM': {'Na': 5.0, 'O': 0.6}, 'LDAUL': {'Au': 2}}
    staged(vasp, folder, settings('fast', is_spin_polarized=True, tags=moments), film())
    lines = (folder / '0' / 'INCAR').read_text().splitlines()
    poscar = (folder / '0' / 'POSCAR').read_text().splitlines()
    symbols, counts = poscar[5].split(), poscar[6].split()
    by_site = ' '.join(f'{n}*{moments["MAGMOM"].get(symbol, 0.0)}' for symbol, n in zip(symbols, counts))
    assert f'MAGMOM = {by_site}' in lines
    assert f'LDAUL = {" ".join("2" if symbol == "Au" else "-1" for symbol in symbols)}' in lines


def refusal(**changes) -> str | None:
    return validate_single_point({'dataset': dataset(film()), 'model_parameters': Dict(settings(**changes))}, None)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'potential_family': 'edl-test'},
            "unknown potential_family 'edl-test': did you mean 'edl-tests'? Known: edl-tests.",
        ),
        (
            {'potential_mapping': {'Au': 'Au', 'H': 'H', 'O': 'O'}},
            "potential_mapping names no POTCAR for Na, which occurs in the frames; add it, for example {'Na': 'Na'}",
        ),
        (
            {'potential_mapping': {'Au': 'Au', 'H': 'H', 'O': 'O', 'Na': 'Na_pv'}},
            "unknown POTCAR of the family edl-tests 'Na_pv': did you mean 'Na'? Known: Au, H, Na, O.",
        ),
        (
            {'potential_mapping': {'Au': 'Au', 'H': 'H', 'O': 'O', 'Na': 'H'}},
            "potential_mapping gives the POTCAR 'H' to Na, but it is of H; name one of Na",
        ),
        (
            {'cutoff': 200.0},
            "cutoff is 200 eV, but the POTCAR 'Au' needs 250 eV (ENMAX); raise it, or take a softer potential",
        ),
        (
            {'total_charge_column': 'charge'},
            "total_charge_column is 'charge', but the frames have the columns: none",
        ),
        ({}, None),
    ],
)
def test_what_is_not_configured_is_found_before_anything_is_submitted(vasp, changes, message):
    assert refusal(**changes) == message


def test_labelling_finds_it_before_anything_is_submitted(vasp):
    parameters = Dict(settings(potential_family='PBE.54'))
    inputs = {'dataset': dataset(film()), 'engine': Str('vasp'), 'code': vasp, 'model_parameters': parameters}
    message = "engine 'vasp' refuses its inputs: unknown potential_family 'PBE.54': Known: edl-tests."
    with pytest.raises(ValueError, match=re.escape(message)):
        run_get_node(LabellingWorkChain, **inputs)


def test_no_potcars_at_all(vasp, monkeypatch):
    monkeypatch.setattr(potentials, 'family_names', list)
    assert refusal() == (
        "potential_family is 'edl-tests', but no POTCARs are configured; upload some: aiida-vasp potcar uploadfamily "
        '--path=<folder> --name=<family> --description=<text>'
    )


def test_potcar_without_content(vasp, monkeypatch):
    """As it is after the import of an archive, which never holds the content."""
    monkeypatch.setattr(PotcarFileData, '_HAS_MODEL_VERSIONING', True)
    monkeypatch.setattr(PotcarFileData, '_VERSION', 0)
    assert refusal().startswith("the POTCAR 'Au' was imported without its content, which never leaves a machine;")


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (
            (b'LEXCH  = PE', b'LEXCH  = CA'),
            "the POTCAR 'Au' is for the local-density approximation (LEXCH = CA), and the functionals here are "
            'gradient-corrected; upload the family for PBE',
        ),
        (
            (b'ZVAL', b'NONE'),
            "the POTCAR 'Au' does not say how many electrons it has and which cutoff it needs (ZVAL, ENMAX); upload a "
            'whole one',
        ),
    ],
)
def test_potcar_that_cannot_be_used(vasp, monkeypatch, changed, message):
    read = PotcarFileData.get_content
    monkeypatch.setattr(PotcarFileData, 'get_content', lambda node: read(node).replace(*changed))
    assert refusal() == message


def test_aiida_vasp_that_is_not_installed(vasp, monkeypatch):
    monkeypatch.setattr(potentials, 'registered_names', lambda group: ('edl.single_point.vasp',))
    assert refusal() == 'the engine vasp needs aiida-vasp, which is not installed; run: pip install aiida-edl[vasp]'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'queue_nam': 'debug'}, 'the options of the jobs are not valid: '),
        ({'max_wallclock_seconds': 'one hour'}, 'the options of the jobs are not valid: '),
    ],
)
def test_options_that_no_scheduler_knows(options, message):
    assert validate_options(options, None).startswith(message)


def test_usual_options():
    assert validate_options({'resources': {'num_machines': 2}, 'max_wallclock_seconds': 3600}, None) is None
