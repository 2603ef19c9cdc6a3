"""Stand in for VASP: read its inputs, compute with a Lennard-Jones model, and write its outputs.

The free energy is that of the model, and forces and stress are its derivatives; the energy without entropy and the one
extrapolated to no smearing differ from it, as with a metal. The SCF takes twelve steps. Atoms that overlap crash it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import read

LENNARD_JONES = {'sigma': 0.85, 'epsilon': 0.5, 'rc': 4.0, 'smooth': True}
KILOBAR = 1602.1766
"""kbar in an eV/Å³."""
N_STEPS = 12
OVERLAP = 0.5
"""Distance of atoms below which the program crashes [Å]."""
FERMI_LEVEL, VACUUM_LEVEL = -2.5, 2.25
STEP = '--------------------------------------- Iteration      1({:4d})  ---------------------------------------'
TIMING = """
 General timing and accounting informations for this job:
 ========================================================

                  Total CPU time used (sec):        1.500
                            User time (sec):        1.400
                          System time (sec):        0.100
                         Elapsed time (sec):        2.000
                   Maximum memory used (kb):      100000.
                   Average memory used (kb):           0.
"""


def tags() -> dict[str, str]:
    """Return the tags of the INCAR."""
    lines = [line.partition('=') for line in Path('INCAR').read_text().splitlines() if '=' in line]
    return {name.strip().upper(): value.strip() for name, _, value in lines}


def n_electrons(atoms: Atoms, incar: dict[str, str]) -> float:
    """Return NELECT: that of the INCAR, else what the blocks of the POTCAR, which are those of the POSCAR, leave."""
    counts = [int(word) for word in Path('POSCAR').read_text().splitlines()[6].split()]
    valences = [float(value) for value in re.findall(r'ZVAL\s*=\s*([\d.]+)', Path('POTCAR').read_text())]
    if len(valences) != len(counts) or sum(counts) != len(atoms):
        sys.exit('ERROR: the type information on POSCAR and POTCAR are incompatible')
    return float(incar.get('NELECT', sum(n * valence for n, valence in zip(counts, valences))))


def vectors(name: str, rows: np.ndarray) -> str:
    """Return an array of vectors as XML."""
    lines = ''.join('   <v> {:.8f} {:.8f} {:.8f} </v>\n'.format(*row) for row in rows)
    return f'  <varray name="{name}" >\n{lines}  </varray>\n'


def energies(free: float, without_entropy: float, extrapolated: float) -> str:
    """Return a block of energies as XML."""
    rows = {'e_fr_energy': free, 'e_wo_entrp': without_entropy, 'e_0_energy': extrapolated}
    return (
        '  <energy>\n' + ''.join(f'   <i name="{name}"> {v:.8f} </i>\n' for name, v in rows.items()) + '  </energy>\n'
    )


def write_xml(atoms: Atoms, incar: dict[str, str], nelect: float, steps: int, blocks: list[str]) -> None:
    """Write vasprun.xml."""
    basis = '  <crystal>\n' + vectors('basis', np.array(atoms.cell)) + '  </crystal>\n'
    structure = basis + vectors('positions', atoms.get_scaled_positions(wrap=False))
    kinds = {symbol: number for number, symbol in enumerate(dict.fromkeys(atoms.symbols), start=1)}
    sites = ''.join(f'    <rc><c>{symbol:<2}</c><c>{kinds[symbol]:4d}</c></rc>\n' for symbol in atoms.symbols)
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n'
        ' <generator>\n  <i name="program" type="string">vasp </i>\n'
        '  <i name="version" type="string">6.4.2  </i>\n </generator>\n'
        ' <kpoints>\n  <generation param="Gamma">\n   <v type="int" name="divisions"> 1 1 1 </v>\n  </generation>\n'
        + vectors('kpointlist', np.zeros((1, 3)))
        + '  <varray name="weights" >\n   <v> 1.00000000 </v>\n  </varray>\n </kpoints>\n'
        ' <parameters>\n  <separator name="electronic" >\n'
        f'   <i name="NELECT"> {nelect:.8f}</i>\n   <i type="int" name="ISPIN"> {incar["ISPIN"]}</i>\n'
        '  </separator>\n  <separator name="electronic convergence" >\n'
        f'   <i type="int" name="NELM"> {incar["NELM"]}</i>\n  </separator>\n'
        '  <separator name="ionic" >\n   <i type="int" name="NSW"> 0</i>\n   <i type="int" name="IBRION"> -1</i>\n'
        '   <i type="int" name="ISIF"> 2</i>\n  </separator>\n </parameters>\n'
        f' <atominfo>\n  <atoms> {len(atoms)} </atoms>\n  <types> {len(kinds)} </types>\n  <array name="atoms" >\n'
        f'   <dimension dim="1">ion</dimension>\n   <set>\n{sites}   </set>\n  </array>\n </atominfo>\n'
        f' <structure name="initialpos" >\n{structure} </structure>\n <calculation>\n'
        + ''.join(f'  <scstep>\n{blocks[0]}  </scstep>\n' for _ in range(steps))
        + f' <structure>\n{structure} </structure>\n{"".join(blocks[1:])}'
        f'  <dos>\n   <i name="efermi"> {FERMI_LEVEL:.8f} </i>\n  </dos>\n </calculation>\n'
        f' <structure name="finalpos" >\n{structure} </structure>\n</modeling>\n'
    )
    Path('vasprun.xml').write_text(text)


def main() -> None:
    """Do what VASP does with one structure."""
    incar, atoms = tags(), read('POSCAR', format='vasp')
    nelect, steps = n_electrons(atoms, incar), min(N_STEPS, int(incar['NELM']))
    head = (
        f' vasp.6.4.2 stand-in\n   NELM   = {incar["NELM"]};   NELMIN=  2; NELMDL= -5     # of ELM steps\n'
        '   NSW    =      0    number of steps for IOM\n   IBRION =     -1    ionic relax\n'
        f'   NELECT =  {nelect:12.4f}    total number of electrons\n   NKPTS = 1   NKDIM = 1   NBANDS=     64\n'
    )
    sys.stdout.write(' running    1 mpi-ranks\n entering main loop\n       N       E                     dE\n')
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    if len(distances) and distances.min() < OVERLAP:
        Path('OUTCAR').write_text(head + STEP.format(1) + '\n')
        Path('vasprun.xml').write_text('<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n')
        sys.exit('forrtl: severe (174): SIGSEGV, segmentation fault occurred')
    atoms.calc = LennardJones(**LENNARD_JONES)
    free = atoms.get_potential_energy()
    stress = -atoms.get_stress(voigt=False) * KILOBAR  # VASP: positive in compression
    dispersion, without_entropy = 0.2 * free, 0.9 * free
    blocks = [
        energies(free - dispersion, without_entropy - dispersion, 0.95 * free - dispersion),
        vectors('forces', atoms.get_forces()),
        vectors('stress', stress),
        energies(free, without_entropy, 0.95 * free),
    ]
    write_xml(atoms, incar, nelect, steps, blocks)
    text = head + ''.join(f'{STEP.format(step)}\n' for step in range(1, steps + 1))
    text += f' E-fermi :  {FERMI_LEVEL:8.4f}     XC(G=0):  -9.1234     alpha+bet : -7.1234\n'
    text += f'  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  free  energy   TOTEN  = {free:18.8f} eV\n'
    if 'IVDW' in incar:
        text += f'  Edisp (eV):  {dispersion:12.5f}\n'
    if incar.get('LVHAR', '').strip('.').upper().startswith('T'):
        text += f' vacuum level on the upper side and lower side of the slab  {VACUUM_LEVEL:12.3f}  {1.5:12.3f}\n'
    Path('OUTCAR').write_text(text + TIMING)
    Path('CONTCAR').write_text(Path('POSCAR').read_text())
    sys.stdout.write(f'   1 F= {free:.8E} E0= {0.95 * free:.8E}  d E =0.000000E+00\n')


if __name__ == '__main__':
    main()
