"""A work chain whose submitting step can be killed half-way."""

from __future__ import annotations

import os
import time
from pathlib import Path

from aiida.engine import ToContext, WorkChain
from aiida.orm import Int, Str

from aiida_edl.workflows.submission import SubmitOnceMixin

N_CHILDREN = 3


class ChildWorkChain(WorkChain):
    """Returns its input."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input('number', valid_type=Int)
        spec.output('number', valid_type=Int)
        spec.outline(cls.give_back)

    def give_back(self):
        self.out('number', self.inputs.number)


class InterruptedWorkChain(SubmitOnceMixin, WorkChain):
    """Submits three children; on the first attempt it waits after the second one, to be killed."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input('marker', valid_type=Str, help='File that takes the process number of the first worker.')
        spec.outline(cls.submit_children, cls.finish)

    def submit_children(self):
        marker = Path(self.inputs.marker.value)
        children = {}
        for number in range(N_CHILDREN):
            label = f'child_{number}'
            children[label] = self.submit(ChildWorkChain, number=Int(number), metadata={'call_link_label': label})
            if number == 1 and not marker.exists():
                marker.write_text(str(os.getpid()))
                time.sleep(600)
        return ToContext(**children)

    def finish(self):
        assert all(self.ctx[f'child_{number}'].is_finished_ok for number in range(N_CHILDREN))
