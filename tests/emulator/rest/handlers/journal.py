# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs, steps and events. Ordinary users may read a job that they know, but not search (§2.6)."""

from __future__ import annotations

from tests.emulator.model.journal import Job
from tests.emulator.rest.errors import Empty, Fault
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.routes import route
from tests.emulator.rest.search import SQL, limit_of, select
from tests.emulator.rest.views.journal import event_tree, job_tree, step_tree
from tests.emulator.rest.views.vm import collection

DENIED = "query execution failed due to insufficient permissions."
DEFAULT_LIMIT = 100


def _administrators_only(x: Exchange) -> None:
    if not x.user.admin:
        raise Fault(400, DENIED)


def _job(x: Exchange, job_id: str) -> Job:
    job = x.engine.journal.jobs.get(job_id)
    if job is None or job not in x.engine.journal.kept():
        raise Empty(404)
    return job


@route("GET", "/jobs")
def jobs(x: Exchange) -> Answer:
    _administrators_only(x)
    text = x.query("search") or ""
    if "status" in text.replace("correlation_id", ""):
        raise Fault(400, SQL)
    fields = {"correlation_id": lambda job: job.correlation_id}
    found = select(x.engine.journal.kept(), text, fields, free=(), case_sensitive=True, glob=False, limit=x.limit)
    return Answer(200, "jobs", collection("job", [job_tree(job, x.user.id) for job in found]))


@route("GET", "/jobs/<id:job_id>")
def job(x: Exchange, job_id: str) -> Answer:
    return Answer(200, "job", job_tree(_job(x, job_id), x.user.id))


@route("GET", "/jobs/<id:job_id>/steps")
def steps(x: Exchange, job_id: str) -> Answer:
    _administrators_only(x)
    found = _job(x, job_id)
    ordered = [step for step in found.steps if step.parent is None] + [step for step in found.steps if step.parent]
    return Answer(200, "steps", collection("step", [step_tree(found, step) for step in ordered]))


@route("GET", "/jobs/<id:job_id>/steps/<id:step_id>")
def step(x: Exchange, job_id: str, step_id: str) -> Answer:
    _administrators_only(x)
    found = _job(x, job_id)
    for one in found.steps:
        if one.id == step_id:
            return Answer(200, "step", step_tree(found, one))
    raise Empty(404)


@route("POST", "/jobs/<id:job_id>/<any(end, clear):verb>")
def end_job(x: Exchange, job_id: str, verb: str) -> Answer:
    _job(x, job_id)
    raise Fault(400, f"[Cannot {verb} Job. This action is allowed only to external jobs.]")


@route("GET", "/events")
def events(x: Exchange) -> Answer:
    """The newest first. ``from``: only those after that one."""
    fields = {
        "correlation_id": lambda event: event.correlation_id,
        "severity": lambda event: event.severity,
        "event_vm": lambda event: event.vm_name or "",
        "vm.name": lambda event: event.vm_name or "",
        "message": lambda event: event.description,
    }
    after = limit_of(x.query("from")) or 0
    visible = [event for event in reversed(x.engine.journal.events) if event.id > after and (event.vm_id is None or x.user.sees(event.vm_id))]
    limit = DEFAULT_LIMIT if x.limit is None else x.limit
    found = select(visible, x.query("search") or "", fields, free=("message", "event_vm", "correlation_id"), limit=limit)
    return Answer(200, "events", collection("event", [event_tree(x.engine, event, x.user.id) for event in found]))


@route("GET", "/events/<int:number>")
def event(x: Exchange, number: int) -> Answer:
    for row in x.engine.journal.events:
        if row.id == number:
            return Answer(200, "event", event_tree(x.engine, row, x.user.id))
    raise Empty(404)
