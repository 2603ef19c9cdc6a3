"""vasprun.xml of VASP: labels of every ionic step, read element by element; the file of choice for its digits.

In versions 5.4 and 6 the last ``energy`` of an ionic step names its values wrongly: what it calls ``e_wo_entrp`` is the
energy extrapolated to no smearing, and ``e_0_energy`` the entropy. ``e_fr_energy`` is right, and includes dispersion,
which the steps of the self-consistent field do not; under an external pressure (PSTRESS) it includes the work, which is
taken out again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np

from aiida_edl.science import units
from aiida_edl.science.formats.compressed import CUT, open_compressed
from aiida_edl.science.formats.file_units import FormatError
from aiida_edl.science.formats.vasp_run import (
    STRESS_FACTOR,
    IonicStep,
    RejectedStep,
    VaspRun,
    VaspRunSettings,
    divisions_of_spacing,
    gather_run,
    judged,
    k_points_in_words,
    machine_learned,
    spacing_in_words,
)
from aiida_edl.science.frames import Floats


def read_vasprun(path: str | Path) -> VaspRun:
    """Read a finished, running or cut vasprun.xml.

    :param path: the file; it may be compressed by gzip, bzip2 or xz.
    :raises FormatError: if it is no vasprun.xml, or ends before it says what was computed.
    """
    reader = VasprunReader(Path(path))
    steps = list(reader.steps())
    return gather_run(reader.settings, steps)


class VasprunReader:
    """Reads the ionic steps of one file in their order; the settings stand before them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_complete = False
        """Whether the file came to its end; known when all steps were read."""
        self._settings: VaspRunSettings | None = None

    @property
    def settings(self) -> VaspRunSettings:
        """Settings of the run.

        :raises FormatError: if the file is no vasprun.xml, or ends before it says what was computed.
        """
        if self._settings is None:
            for _ in self._parts():
                break
        if self._settings is None:
            raise FormatError(
                f'{self.path.name} ends before its first ionic step, so it holds no label; leave the run out'
            )
        return self._settings

    def steps(self) -> Iterator[IonicStep | RejectedStep]:
        """Yield the ionic steps, each once; one that gives no label as the reason why.

        :raises FormatError: if the file is no vasprun.xml, or ends before it says what was computed.
        """
        number = 0
        for part in self._parts():
            if part is not None:
                number += 1
                yield self._step(part, number)
        if self.settings and not self.is_complete and self._has_open_step:
            yield RejectedStep(number + 1, 'the file was cut in it')

    def _parts(self) -> Iterator[Element | None]:
        """Yield None when the settings are known, then every complete ionic step."""
        header: dict[str, Element] = {}
        self._has_open_step = self.is_complete = False
        root: Element | None = None
        with open_compressed(self.path) as handle:
            events = iterparse(handle, events=('start', 'end'))
            try:
                for event, element in events:
                    if root is None:
                        root = element
                        if root.tag != 'modeling':
                            what = f'it holds <{root.tag}>, not <modeling>'
                            raise FormatError(f'{self.path.name} is no vasprun.xml: {what}; give another file')
                    if element.tag == 'calculation':
                        if event == 'start':
                            self._has_open_step = True
                            continue
                        self._has_open_step = False
                        yield element
                        root.clear()
                    elif event == 'end' and element.tag in ('generator', 'incar', 'kpoints', 'parameters', 'atominfo'):
                        header[element.tag] = element
                    elif event == 'end' and element.tag == 'structure' and element.get('name') == 'initialpos':
                        self._settings = self._read_settings(header, element)
                        yield None
                    elif event == 'end' and element is root:
                        self.is_complete = True
            except (ParseError, LookupError, *CUT) as error:
                if root is None:
                    raise FormatError(f'{self.path.name} is no vasprun.xml ({error}); give another file') from error

    def _read_settings(self, header: dict[str, Element], structure: Element) -> VaspRunSettings:
        """Return the settings from the elements that stand before the first ionic step."""
        try:
            return _settings(header, structure, self.path)
        except FormatError:
            raise
        except (ValueError, IndexError) as error:
            raise FormatError(f'{self.path.name} is damaged before its first ionic step ({error})') from error

    def _step(self, element: Element, number: int) -> IonicStep | RejectedStep:
        """Return one ionic step."""
        settings = self.settings
        scf_steps = element.findall('scstep')
        if not scf_steps and settings.has_machine_learned_force_field:
            return machine_learned(number)
        try:
            cell = _rows(element.find('structure/crystal/varray[@name="basis"]'))
            fractions = _rows(element.find('structure/varray[@name="positions"]'))
            forces = _rows(element.find('varray[@name="forces"]'))
            free_energy = _value(element.find('energy'), 'e_fr_energy')
            last = scf_steps[-1].find('energy') if scf_steps else None
            difference = _value(last, 'e_0_energy') - _value(last, 'e_fr_energy')
            table = element.find('varray[@name="stress"]')
            stress = None if table is None or not settings.has_full_stress else _rows(table) * STRESS_FACTOR
            fermi = element.find('dos/i[@name="efermi"]')
            fermi_level = math.nan if fermi is None or fermi.text is None else float(fermi.text)
        except ValueError as error:
            return RejectedStep(number, f'it cannot be read: {error}')
        work = settings.external_pressure_kbar * units.KILOBAR * abs(float(np.linalg.det(cell)))
        energy = free_energy - work
        step = IonicStep(
            number=number,
            positions=fractions @ cell,
            cell=cell,
            energy=energy,
            energy_zero_smearing=energy + difference,
            forces=forces,
            stress=stress,
            fermi_level=fermi_level,
            n_scf_steps=len(scf_steps),
        )
        if settings.has_linear_response and step.n_scf_steps >= settings.maximum_scf_steps:
            reason = (
                f'its {step.n_scf_steps} SCF steps include those of linear response, so that the limit NELM of '
                f'{settings.maximum_scf_steps} says nothing; read OUTCAR instead'
            )
            return RejectedStep(number, reason, step.n_scf_steps, settings.maximum_scf_steps)
        return judged(step, settings)


def _rows(element: Element | None) -> Floats:
    """Return a table of vectors.

    :raises ValueError: if it is absent, or holds what is no number.
    """
    if element is None:
        raise ValueError('positions, cell or forces are absent')
    return np.array([[float(word) for word in (row.text or '').split()] for row in element])


def _value(element: Element | None, name: str) -> float:
    """Return a value by its name.

    :raises ValueError: if it is absent or no number.
    """
    found = None if element is None else element.find(f'i[@name="{name}"]')
    if found is None or not found.text:
        raise ValueError(f'{name} is absent')
    return float(found.text)


def _settings(header: dict[str, Element], structure: Element, path: Path) -> VaspRunSettings:
    """Return the settings from the elements that stand before the first ionic step."""
    if missing := {'generator', 'incar', 'parameters', 'atominfo'} - set(header):
        raise FormatError(
            f'{path.name} is no whole vasprun.xml: it lacks {", ".join(sorted(missing))}; give another file'
        )
    incar, used = _tags(header['incar']), _tags(header['parameters'])
    if 'ENMAX' in used:
        used['ENCUT'] = used.pop('ENMAX')
    spacing = incar.get('KSPACING')
    tags = {**incar, **used}
    tags.pop('KSPACING', None)
    types = [
        [cell.text or '' for cell in row] for row in header['atominfo'].iterfind('array[@name="atomtypes"]/set/rc')
    ]
    version = header['generator'].find('i[@name="version"]')
    cell = _rows(structure.find('crystal/varray[@name="basis"]'))
    return VaspRunSettings(
        version='' if version is None else (version.text or '').strip(),
        tags=tags,
        titles=tuple(row[4].strip() for row in types),
        counts=tuple(int(row[0]) for row in types),
        valences=tuple(float(row[3]) for row in types),
        k_points=_k_points(header.get('kpoints'), None if spacing is None else float(spacing), cell),
    )


def _tags(element: Element) -> dict[str, str]:
    """Return all values of an element by their names, the first of each: later ones are of other methods (GW)."""
    named = [item for item in element.iter() if item.tag in ('i', 'v') and item.get('name')]
    return {str(item.get('name')).upper(): (item.text or '').strip() for item in reversed(named)}


def _k_points(element: Element | None, spacing: float | None, cell: Floats) -> str:
    """Return the k-points in words; KSPACING is named if the mesh is the one that follows from it."""
    mesh = None if element is None else element.find('generation/v[@name="divisions"]')
    divisions = () if mesh is None else tuple(int(word) for word in (mesh.text or '').split())
    if spacing is not None and divisions in ((), divisions_of_spacing(spacing, cell)):
        return spacing_in_words(spacing)
    if element is not None and len(divisions) == 3:
        generation = element.find('generation')
        return k_points_in_words('' if generation is None else generation.get('param', ''), divisions)
    points = [] if element is None else element.findall('varray[@name="kpointlist"]/v')
    return f'{len(points)} irreducible k-points'
