# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs, steps and events (§3.6)."""

from __future__ import annotations

from tests.emulator.model.journal import Event, Job, Step
from tests.emulator.model.parts import Parts
from tests.emulator.model.rows import BLANK
from tests.emulator.rest.formats import Date, Tree
from tests.emulator.rest.views.links import API, actions, links, reference


def job_tree(job: Job, owner_id: str) -> Tree:
    base = f"{API}/jobs/{job.id}"
    return {
        "href": base,
        "id": job.id,
        "actions": actions(base, "clear", "end"),
        "description": job.description,
        "link": links(base, "steps"),
        "auto_cleared": True,
        "end_time": Date(job.end) if job.end else None,
        "external": False,
        "last_updated": Date(job.end or job.updated),
        "start_time": Date(job.start),
        "status": job.status,
        "owner": reference("users", owner_id),
    }


def step_tree(job: Job, step: Step) -> Tree:
    steps = f"{API}/jobs/{job.id}/steps"
    base = f"{steps}/{step.id}"
    return {
        "href": base,
        "id": step.id,
        "actions": actions(base, "end"),
        "description": step.description,
        "link": links(base, "statistics"),
        "end_time": Date(step.end) if step.end else None,
        "external": False,
        "external_type": step.external,
        "number": step.number,
        "start_time": Date(step.start),
        "status": step.status,
        "type": step.kind,
        "job": reference("jobs", job.id),
        "parent_step": {"href": f"{steps}/{step.parent}", "id": step.parent} if step.parent else None,
    }


def event_tree(parts: Parts, event: Event, user_id: str) -> Tree:
    tree: Tree = {
        "href": f"{API}/events/{event.id}",
        "id": str(event.id),
        "description": event.description,
        "code": event.code,
        "correlation_id": event.correlation_id,
        "custom_id": -1,
        "flood_rate": 0,
        "index": event.id,
        "origin": "oVirt",
        "severity": event.severity,
        "time": Date(event.time),
    }
    if event.vm_id:
        tree["cluster"] = {**reference("clusters", parts.cluster_id), "name": "Default"}
        tree["data_center"] = {**reference("datacenters", parts.data_center_id), "name": "Default"}
        tree["template"] = {**reference("templates", BLANK), "name": "Blank"}
    if event.user:
        tree["user"] = {**reference("users", user_id), "name": event.user}
    if event.vm_id:
        tree["vm"] = {**reference("vms", event.vm_id), "name": event.vm_name}
    return tree
