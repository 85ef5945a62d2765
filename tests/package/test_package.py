# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tarball that users install: built from this checkout, installed without a network, and used where there is no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.tools.stage import CHECKOUT, collection_files

BIN = Path(sys.executable).parent
MODULES = [f"diskwise.vm.{name}" for name in yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())["action_groups"]["snapshot"]]


def run(*command: str, cwd: Path, collections: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs, which finds collections in that folder alone. Both streams are in the result's stdout."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH"))}
    environment = {**inherited, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_HOME": str(cwd / "ansible-home"), **environment}
    program = [str(BIN / command[0]), *command[1:]]
    return subprocess.run(program, cwd=cwd, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="session")
def tarball(folder: Path) -> Path:
    built = run("ansible-galaxy", "collection", "build", "--output-path", str(folder), str(CHECKOUT), cwd=folder, collections=folder / "none")
    assert built.returncode == 0, built.stdout
    (tarball,) = folder.glob("diskwise-vm-*.tar.gz")
    return tarball


@pytest.fixture(scope="session")
def collections(folder: Path, tarball: Path) -> Path:
    """A folder in which nothing but the collection was installed."""
    collections = folder / "collections"
    installed = run("ansible-galaxy", "collection", "install", "--offline", "-p", str(collections), str(tarball), cwd=folder, collections=collections)
    assert installed.returncode == 0, installed.stdout
    return collections


def test_tarball_holds_no_generated_file(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        files = {member.name for member in archive.getmembers() if not member.isdir()}
    assert files - {"MANIFEST.json", "FILES.json"} <= {file.as_posix() for file in collection_files()}


def test_tarball_holds_every_plugin(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        files = set(archive.getnames())
    wanted = {file.as_posix() for file in collection_files() if file.parts[0] in ("plugins", "roles", "playbooks", "meta")}
    assert wanted <= files
    assert {"README.md", "LICENSE", "CHANGELOG.rst", "requirements.txt", "bindep.txt"} <= files


def test_action_group_is_all_modules() -> None:
    assert sorted(MODULES) == sorted(f"diskwise.vm.{file.stem}" for file in (CHECKOUT / "plugins" / "modules").glob("*.py"))


def test_installed_files_verify(folder: Path, collections: Path) -> None:
    verified = run("ansible-galaxy", "collection", "verify", "--offline", "diskwise.vm", cwd=folder, collections=collections)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("module", MODULES)
def test_documentation(module: str, folder: Path, collections: Path) -> None:
    shown = run("ansible-doc", "--json", module, cwd=folder, collections=collections)
    assert shown.returncode == 0, shown.stdout
    assert "[WARNING]" not in shown.stdout
    plugin = json.loads(shown.stdout)[module]
    assert Path(plugin["doc"]["filename"]).is_relative_to(collections)
    assert plugin["doc"]["options"]["vm"]["description"]
    assert module in plugin["examples"]
    assert plugin["return"]


def test_playbook(folder: Path, collections: Path) -> None:
    """All of the module's code is found in the installed collection, and nothing of it needs the checkout."""
    playbook = CHECKOUT / "tests" / "package" / "playbook.yml"
    played = run("ansible-playbook", "-i", "localhost,", str(playbook), cwd=folder, collections=collections)
    assert played.returncode == 0, played.stdout
    assert "failed=0" in played.stdout


def test_execution_environment_asks_for_what_is_needed(folder: Path, collections: Path) -> None:
    """Builders of execution environments read what the collection declares from the installed files."""
    introspected = run("ansible-builder", "introspect", str(collections), cwd=folder, collections=collections)
    assert introspected.returncode == 0, introspected.stdout
    assert "libvirt-python" in introspected.stdout
    assert "libvirt-devel [platform:rpm compile test]" in introspected.stdout


def test_galaxy_importer(folder: Path, tarball: Path) -> None:
    """What Galaxy does with an upload, with the rule on tags that certified collections have to keep."""
    command = ("python", "-m", "galaxy_importer.main", str(tarball))
    imported = run(*command, cwd=folder, collections=folder / "none", GALAXY_IMPORTER_CHECK_REQUIRED_TAGS="true", PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    assert imported.returncode == 0, imported.stdout
    assert "Importer processing completed successfully" in imported.stdout
    assert "ERROR" not in imported.stdout
