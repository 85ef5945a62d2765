# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file carries out a step. It is loaded only when it is needed."""

from __future__ import annotations

from ..._engine.model import Step
from .desk import Desk


def apply(desk: Desk, step: Step) -> None:
    """A step that was carried out already changes nothing: each looks first."""
    if step.verb in ("probe", "snapshot"):
        from . import create

        create.STEPS[step.verb](desk, step.args)
    elif step.verb in ("mark", "unplug", "source", "plug", "unmark", "preview"):
        from . import preview

        preview.STEPS[step.verb](desk, step.args)
    elif step.verb in ("commit", "undo", "drop-source", "drop", "repair"):
        from . import leave

        leave.STEPS[step.verb](desk, step.args)
    elif step.verb in ("merge", "remove"):
        from . import remove

        remove.STEPS[step.verb](desk, step.args)
    elif step.verb == "stop":
        from .power import stop

        stop(desk, step.args)
    else:
        from .settle import settle

        settle(desk)
