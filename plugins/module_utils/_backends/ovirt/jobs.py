# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that change something: sent once, found again when the answer is lost, and waited for until their job is over.

An engine that got a whole request carries it out, whoever hangs up. So a request is named by a correlation id of our own, and is
only sent again when the engine has shown for long enough that it knows nothing of it.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Callable

from ..._engine.errors import BackendFailed, Busy, Interrupted, VmError
from .engine import Engine
from .faults import PASSING, Lost, detail_of, translate
from .sdk import sdk

GRACE = 10.0
"""Seconds after which a job that is not to be seen was never begun; the latest was seen after 3."""

REPEATS = 3
ENDED_WELL = {68, 71, 95, 356, 375, 651}
ENDED_BADLY = {69, 96, 99, 115, 117, 343, 357, 374, 376, 652}
"""Codes of events. They only tell that it is over: what the outcome is, the job and the state tell."""


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def prefix(verb: str, vm_id: str, *key: Any) -> str:
    """What the correlation ids of this work begin with, so that it is found among the events later. An engine takes 36 characters."""
    return "-".join([f"dw{verb}", digest(vm_id), *(digest(part) for part in key)])


def correlation_id(begins: str) -> str:
    return f"{begins}-{uuid.uuid4().hex}"[:36]


class Done(Exception):
    """Raised while a request is put together, by who finds that it is not needed any more."""


def send(engine: Engine, what: str, begins: str, request: Callable[[str], Any], happened: Callable[[], bool]) -> tuple[str, Any]:
    """Send the request; its correlation id and the engine's answer, which is None when it was lost, but is known to be carried out.

    ``request`` gets the correlation id, another one each time: a refusal leaves a job as well, which failed. ``happened`` reads whether it
    shows already. Waits while somebody else is at work. Raises Busy when that does not end, and the engine's refusal, translated.
    """
    said = ["somebody else is at work on the VM"]
    for number in range(REPEATS):
        named = correlation_id(begins)
        try:
            for _passed in _until_free(engine, what, said):
                named = correlation_id(begins)
                try:
                    return named, request(named)
                except sdk.Error as error:
                    if not PASSING.search(detail_of(error)):
                        raise
                    said.append(detail_of(error))
        except Lost:
            if _known(engine, named, happened):
                return named, None
            if number == REPEATS - 1:
                raise BackendFailed(f"{what}: the engine gives no answer and begins nothing", "no_answer", "look at the engine, then run again") from None
        except (VmError, Done):
            raise
        except Exception as error:
            raise translate(error, what) from error
    raise BackendFailed(what)  # not reached: the last turn returns or raises


def _until_free(engine: Engine, what: str, said: Sequence[str]) -> Iterator[float]:
    try:
        yield from _at_once_and(engine.clock.ticks(what))
    except Interrupted as error:
        raise Busy(f"{what}: {said[-1]}", "engine_busy", "wait until that is done, then run again") from error


def _at_once_and(ticks: Any) -> Any:
    yield 0.0
    yield from ticks


def _known(engine: Engine, named: str, happened: Callable[[], bool]) -> bool:
    """Whether the engine carries out the request whose answer was lost. A no takes two looks, the second after the grace."""
    end = time.monotonic() + GRACE
    while True:
        late = time.monotonic() >= end
        if status_of(engine, named) != "none" or happened():
            return True
        if late:
            return False
        time.sleep(min(1.0, GRACE / 4))


def status_of(engine: Engine, named: str) -> str:
    """none, started, finished, failed or unknown: the jobs of a correlation id; for those who may not list jobs, by its events."""
    if engine.lists_jobs:
        service = engine.system.jobs_service()
        try:
            found = engine.read("reading jobs", lambda: service.list(search=f"correlation_id={named}"))
            return _together([str(job.status) for job in found])
        except VmError as error:
            if error.reason != "no_permission":
                raise
            engine.lists_jobs = False
    codes = {int(event.code) for event in engine.events(named)}
    if codes & ENDED_BADLY:
        return "failed"
    return "finished" if codes & ENDED_WELL else "started" if codes else "none"


def failed_by_events(engine: Engine, named: str) -> bool:
    """Its job may run for ever all the same."""
    return any(int(event.code) in ENDED_BADLY for event in engine.events(named))


def _together(statuses: list[str]) -> str:
    for status in ("started", "failed", "aborted", "unknown", "finished"):
        if status in statuses:
            return status
    return "none"


def wait(engine: Engine, what: str, named: str, answer: Any, quiet: Callable[[], bool], limit: float | None = None) -> str:
    """Wait until the work is over: finished, failed, or unknown, when nothing tells. Raises Interrupted when that does not happen in time."""
    job = getattr(answer, "job", None)
    clock = replace(engine.clock, timeout=min(limit, engine.clock.timeout)) if limit else engine.clock
    for passed in clock.ticks(what):
        status = _status_of_job(engine, job.id) if job else status_of(engine, named)
        if status == "none":  # it shows late, and is forgotten after a while
            status = "unknown" if passed > GRACE and quiet() else "started"
        elif status == "started" and not job and not engine.lists_jobs and passed > GRACE and quiet():
            status = "unknown"  # some work ends without an event
        if status != "started":
            return status
    return "unknown"  # not reached: the clock raises


def _status_of_job(engine: Engine, job_id: str) -> str:
    service = engine.system.jobs_service().job_service(job_id)
    try:
        return str(engine.read("reading a job", service.get).status)
    except VmError as error:
        if error.reason == "gone":
            return "unknown"
        raise
