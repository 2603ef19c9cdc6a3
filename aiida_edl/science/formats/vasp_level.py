"""The level of theory of a finished run of VASP in words, from the values that were really used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiida_edl.science.formats.file_units import FormatError

GGA_NAMES = {
    'PE': 'PBE', 'RP': 'RPBE', 'PS': 'PBEsol', 'RE': 'revPBE', '91': 'PW91', 'AM': 'AM05', 'BF': 'BEEF', 'CA': 'LDA',
    'PZ': 'LDA', 'HL': 'LDA', 'WI': 'LDA', 'VW': 'LDA', 'B3': 'B3LYP', 'B5': 'B3LYP', 'OR': 'optPBE', 'BO': 'optB88',
    'MK': 'optB86b', 'ML': 'rPW86', 'CX': 'LV-PW86r',
}  # fmt: skip
"""Functional of each value of GGA. Source: VASP wiki, GGA."""
IVDW_WORDS = {
    0: 'without dispersion correction',
    1: 'D2',
    10: 'D2',
    11: 'D3 with zero damping',
    12: 'D3 with Becke-Johnson damping',
    13: 'D4',
    2: 'Tkatchenko-Scheffler dispersion',
    20: 'Tkatchenko-Scheffler dispersion',
    21: 'Tkatchenko-Scheffler dispersion with iterative Hirshfeld charges',
    202: 'many-body dispersion',
    263: 'many-body dispersion with fractional ions',
    4: 'dDsC dispersion',
}
"""Correction of each value of IVDW. Source: VASP wiki, IVDW."""
PRECISIONS = {'L': 'Low', 'M': 'Medium', 'H': 'High', 'N': 'Normal', 'S': 'Single', 'A': 'Accurate'}
AXES = {1: 'x', 2: 'y', 3: 'z'}
KEPT_TAGS = ('EFIELD', 'LSOL', 'EB_K', 'LAMBDA_D_K', 'LUSE_VDW', 'VDW_S6', 'VDW_S8', 'VDW_SR', 'VDW_A1', 'VDW_A2',
             'HFSCREEN', 'LDAUTYPE', 'LDAUL', 'LDAUU', 'LDAUJ')  # fmt: skip
"""Tags that change energies where they are set, and are named as they stand."""


def is_true(value: str | None) -> bool:
    """Return whether a logical of an INCAR or of an output is true.

    >>> [is_true(word) for word in ('.TRUE.', 'T', 'Auto', 'On', '.FALSE.', 'F', None)]
    [True, True, True, True, False, False, False]
    """
    return value is not None and value.strip().lstrip('.').upper()[:2] in ('T', 'TR', 'A', 'AU', 'O', 'ON')


def number_of(tags: Mapping[str, str], name: str, default: float) -> float:
    """Return the value of a tag.

    >>> number_of({'NELM': '60'}, 'NELM', 0.0), number_of({}, 'NELM', 40.0)
    (60.0, 40.0)

    :param tags: values by name of the tag.
    :param name: its name.
    :param default: its value if it is not there.
    :raises FormatError: if it is no number.
    """
    if name not in tags:
        return default
    try:
        return float(tags[name])
    except ValueError as error:
        raise FormatError(f"the tag {name} is '{tags[name]}', which is no number; the file is damaged there") from error


def functional_in_words(tags: Mapping[str, str], titles: Sequence[str]) -> str:
    """Return the functional; without GGA it is the one of the potentials.

    >>> functional_in_words({'GGA': 'RP'}, ['PAW_PBE Au 04Oct2007']), functional_in_words({}, ['PAW_PBE H 15Jun2001'])
    ('RPBE', 'PBE')
    """
    gga = tags.get('GGA', '--').strip().upper()[:2]
    if gga in ('', '--', 'NO'):
        kinds = {title.split()[0] for title in titles if title.split()}
        named = {'PAW_PBE': 'PBE', 'PAW_GGA': 'PW91', 'PAW_LDA': 'LDA', 'PAW': 'LDA'}
        words = '/'.join(sorted({named.get(kind, f'functional of {kind}') for kind in kinds})) or 'unknown functional'
    else:
        words = GGA_NAMES.get(gga, f'GGA {gga}')
    meta = tags.get('METAGGA', '--').strip().upper()
    if meta not in ('', '--', 'F', 'NONE'):
        words = {'R2SCA': 'r2SCAN', 'R2SCAN': 'r2SCAN', 'RSCAN': 'rSCAN'}.get(meta, meta)
    if is_true(tags.get('LHFCALC')):
        words = f'hybrid of {words} with {number_of(tags, "AEXX", 0.25):g} of exact exchange'
    return words


def smearing_in_words(tags: Mapping[str, str]) -> str:
    """Return how states around the Fermi level were occupied.

    >>> smearing_in_words({'ISMEAR': '0', 'SIGMA': '0.10'}), smearing_in_words({'ISMEAR': '-5'})
    ('gaussian smearing of 0.1 eV', 'tetrahedra with corrections')
    """
    kind, width = int(number_of(tags, 'ISMEAR', 1)), f'{number_of(tags, "SIGMA", 0.2):g} eV'
    fixed = {-5: 'tetrahedra with corrections', -4: 'tetrahedra', -3: 'occupations read', -2: 'fixed occupations'}
    if kind in fixed:
        return fixed[kind]
    if kind in (0, -1):
        return f'{"gaussian" if kind == 0 else "fermi-dirac"} smearing of {width}'
    return f'methfessel-paxton smearing of order {kind} of {width}' if kind > 0 else f'ISMEAR {kind}, SIGMA {width}'


def dipole_in_words(tags: Mapping[str, str]) -> str:
    """Return which dipole correction was made, ``''`` for none.

    >>> dipole_in_words({'LDIPOL': 'T', 'IDIPOL': '3'}), dipole_in_words({'LDIPOL': 'F', 'IDIPOL': '0'})
    ('dipole correction along z', '')
    """
    direction = int(number_of(tags, 'IDIPOL', 0))
    where = f'along {AXES[direction]}' if direction in AXES else 'of a molecule'
    if is_true(tags.get('LDIPOL')):
        return f'dipole correction {where}'
    return f'dipole correction {where} of the energy alone' if direction > 0 else ''


def spins_in_words(tags: Mapping[str, str]) -> str:
    """Return how spins were treated, ``''`` if both have the same orbitals."""
    if is_true(tags.get('LSORBIT')):
        return 'spin-orbit coupling'
    if is_true(tags.get('LNONCOLLINEAR')):
        return 'non-collinear spins'
    fixed = number_of(tags, 'NUPDOWN', -1)
    if int(number_of(tags, 'ISPIN', 1)) != 2:
        return ''
    return 'spin-polarised' if fixed < 0 else f'spin-polarised with NUPDOWN {fixed:g}'


def dispersion_in_words(tags: Mapping[str, str]) -> str:
    """Return which dispersion correction was added, with its damping.

    >>> dispersion_in_words({'IVDW': '11'}), dispersion_in_words({'IVDW': '12'})
    ('D3 with zero damping', 'D3 with Becke-Johnson damping')
    """
    if 'IVDW' not in tags:
        if is_true(tags.get('LVDW')):
            return IVDW_WORDS[1]
        return 'a dispersion correction that is not named' if 'EDISP' in tags else IVDW_WORDS[0]
    number = int(number_of(tags, 'IVDW', 0))
    return IVDW_WORDS.get(number, f'IVDW {number}')


def level_parts(tags: Mapping[str, str], titles: Sequence[str], k_points: str, total_charge: float) -> dict[str, str]:
    """Return all that changes the energies but the potentials, in words by what it is; what does not apply is ``''``.

    :param tags: values by name of the tag, as INCAR or output state them.
    :param titles: titles of the potentials (TITEL), one per element.
    :param k_points: which k-points, in words.
    :param total_charge: charge of the cell [e].
    """
    others = {tag: ' '.join(tags[tag].split()) for tag in KEPT_TAGS if tag in tags}
    if not is_true(tags.get('LDAU')):
        others = {tag: value for tag, value in others.items() if not tag.startswith('LDAU')}
    if not is_true(tags.get('LHFCALC')):
        others.pop('HFSCREEN', None)
    has_meaning = {
        tag: value for tag, value in others.items() if value.upper() not in ('F', '.FALSE.', '0', '0.00000000')
    }
    return {
        'functional': f'VASP {functional_in_words(tags, titles)}',
        'dispersion': dispersion_in_words(tags),
        'cutoff': f'{number_of(tags, "ENCUT", 0):.1f}'.removesuffix('.0') + ' eV' if 'ENCUT' in tags else '',
        'k-points': k_points,
        'smearing': f'{smearing_in_words(tags)}, free energy',
        'precision': f'PREC {PRECISIONS.get(tags.get("PREC", "N").strip().upper()[:1], tags.get("PREC", ""))}',
        'projectors': f'projectors in {"real" if is_true(tags.get("LREAL")) else "reciprocal"} space',
        'LASPH': 'LASPH' if is_true(tags.get('LASPH')) else '',
        'spins': spins_in_words(tags),
        'dipole correction': dipole_in_words(tags),
        'charge': 'total charge against a uniform background' if abs(total_charge) > 1e-4 else '',
        'other tags': ', '.join(f'{tag} = {value}' for tag, value in sorted(has_meaning.items())),
    }
