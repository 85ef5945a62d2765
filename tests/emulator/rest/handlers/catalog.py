# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root and the things that this data centre has one of."""

from __future__ import annotations

from tests.emulator.model.rows import BLANK
from tests.emulator.rest.errors import Empty
from tests.emulator.rest.exchange import Answer, Exchange
from tests.emulator.rest.formats import Tree
from tests.emulator.rest.routes import route
from tests.emulator.rest.search import select
from tests.emulator.rest.views.catalog import LISTED, cluster_tree, data_center_tree, domain_tree, host_tree, root_tree, template_tree
from tests.emulator.rest.views.links import HOST, reference
from tests.emulator.rest.views.vm import collection


@route("GET", "/")
def root(x: Exchange) -> Answer:
    return Answer(200, "api", root_tree(x.engine, x.user.id))


def _found(x: Exchange, plural: str, singular: str, trees: list[Tree]) -> Answer:
    fields = {"name": lambda tree: str(tree["name"]), "id": lambda tree: str(tree["id"])}
    return Answer(200, plural, collection(singular, select(trees, x.query("search") or "", fields, limit=x.limit)))


def _one(root_name: str, wanted: str, trees: list[Tree]) -> Answer:
    for tree in trees:
        if tree["id"] == wanted:
            return Answer(200, root_name, tree)
    raise Empty(404)


@route("GET", "/datacenters")
def data_centers(x: Exchange) -> Answer:
    return _found(x, "data_centers", "data_center", [data_center_tree(x.engine)])


@route("GET", "/datacenters/<id:one>")
def data_center(x: Exchange, one: str) -> Answer:
    return _one("data_center", one, [data_center_tree(x.engine)])


@route("GET", "/clusters", "/datacenters/<id:_dc>/clusters")
def clusters(x: Exchange, _dc: str = "") -> Answer:
    return _found(x, "clusters", "cluster", [cluster_tree(x.engine)])


@route("GET", "/clusters/<id:one>")
def cluster(x: Exchange, one: str) -> Answer:
    return _one("cluster", one, [cluster_tree(x.engine)])


@route("GET", "/storagedomains")
def domains(x: Exchange) -> Answer:
    return _found(x, "storage_domains", "storage_domain", [domain_tree(x.engine, domain) for domain in x.engine.tables.domains.values()])


@route("GET", "/storagedomains/<id:one>")
def domain(x: Exchange, one: str) -> Answer:
    return _one("storage_domain", one, [domain_tree(x.engine, row) for row in x.engine.tables.domains.values()])


@route("GET", "/datacenters/<id:_dc>/storagedomains")
def attached_domains(x: Exchange, _dc: str) -> Answer:
    """Here they have a status."""
    trees = [{**domain_tree(x.engine, row), "status": row.status} for row in x.engine.tables.domains.values()]
    return Answer(200, "storage_domains", collection("storage_domain", trees))


@route("GET", "/templates")
def templates(x: Exchange) -> Answer:
    return _found(x, "templates", "template", [template_tree(x.engine)])


@route("GET", f"/templates/{BLANK}")
def template(x: Exchange) -> Answer:
    return Answer(200, "template", template_tree(x.engine))


@route("GET", "/hosts")
def hosts(x: Exchange) -> Answer:
    return _found(x, "hosts", "host", [host_tree(x.engine)])


@route("GET", f"/hosts/{HOST}")
def host(x: Exchange) -> Answer:
    return Answer(200, "host", host_tree(x.engine))


@route("GET", "/users")
def users(x: Exchange) -> Answer:
    return Answer(200, "users", {"user": [{**reference("users", x.user.id), "user_name": x.user.principal, "principal": x.user.name}]})


@route("GET", "/users/<id:one>")
def user(x: Exchange, one: str) -> Answer:
    return _one("user", one, [{**reference("users", x.user.id), "user_name": x.user.principal, "principal": x.user.name}])


NOTHING = {name: name for name in LISTED if name not in ("jobs",)} | {"networks": "networks"}


@route("GET", "/<any(" + ", ".join(f'"{name}"' for name in NOTHING) + "):name>")
def nothing(_x: Exchange, name: str) -> Answer:
    """Collections that this data centre has nothing of that anybody asked for."""
    return Answer(200, NOTHING[name], {})
