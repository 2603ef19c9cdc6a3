"""Exit messages of processes that list what failed, and what failed below it."""

from __future__ import annotations

from aiida_edl.provenance.failure_text import failures_besides, failures_in

MESSAGE = (
    'The comparison lacks parts that failed: rounds of own (LoopWorkChain<7>, exit status 701: not converged: 1 rounds '
    '(round 1); parts failed: round_01_labelling (2 of 8 rejected)); naive on cell (The potential was tested, but '
    'parts failed: run T0700 does not count (the drift is 2 meV/(atom ps), the limit is 1); activation energy (no '
    'data)); zero_shot on cell (The potential was tested, but parts failed: run T0850 does not count (it melted; it is '
    'hot))'
)


def test_parts_are_split_where_no_bracket_is_open():
    assert [part.partition(' (')[0] for part in failures_in(MESSAGE)] == [
        'rounds of own',
        'naive on cell',
        'zero_shot on cell',
    ]


def test_what_is_told_elsewhere_is_left_out_at_every_depth():
    assert failures_besides(MESSAGE, lambda part: part.startswith('run ')) == [
        'rounds of own: round_01_labelling (2 of 8 rejected)',
        'naive on cell: activation energy (no data)',
    ]


def test_bracket_that_is_never_closed_loses_nothing():
    assert failures_in('Failed: a (b; c') == ['a (b; c']


def test_no_message_lists_nothing():
    assert failures_in('') == []
