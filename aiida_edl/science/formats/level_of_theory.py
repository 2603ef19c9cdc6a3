"""The level of theory of finished runs: joined into words, and compared."""

from __future__ import annotations

from collections.abc import Mapping

FIRST = 'functional'
"""Part that is named first, with the program."""


def level_in_words(level: Mapping[str, str], potentials: Mapping[str, str]) -> str:
    """Return a level of theory in words: functional, potentials, and all else that changes the energies.

    >>> level_in_words({'functional': 'VASP RPBE', 'cutoff': '450 eV'}, {'Na': 'PAW Na_pv', 'Au': 'PAW Au'})
    'VASP RPBE, PAW Au, PAW Na_pv, 450 eV'

    :param level: words by what they are about; ``''`` for what does not apply.
    :param potentials: potential of each element.
    """
    others = [words for name, words in level.items() if name != FIRST]
    return ', '.join(words for words in (level[FIRST], *sorted(set(potentials.values())), *others) if words)


def difference_in_words(
    first: tuple[Mapping[str, str], Mapping[str, str]], other: tuple[Mapping[str, str], Mapping[str, str]]
) -> str:
    """Return in what two levels of theory differ, in words, ``''`` if in nothing.

    Potentials are compared for the elements that both have.

    >>> difference_in_words(({'functional': 'PBE', 'spins': ''}, {}), ({'functional': 'RPBE', 'spins': ''}, {}))
    "functional ('PBE' and 'RPBE')"

    :param first: level and potentials of one.
    :param other: those of the other.
    """
    levels, potentials = (first[0], other[0]), (first[1], other[1])
    names = list(dict.fromkeys([*levels[0], *levels[1]]))
    found = [(name, levels[0].get(name, ''), levels[1].get(name, '')) for name in names]
    common = [element for element in potentials[0] if element in potentials[1]]
    found += [(f'potential of {element}', potentials[0][element], potentials[1][element]) for element in common]
    return ', '.join(f"{name} ('{one or 'none'}' and '{two or 'none'}')" for name, one, two in found if one != two)
