# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx' configuration. The sources are put together by build.py."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for draw

collection = yaml.safe_load((HERE.parents[1] / "galaxy.yml").read_text())

project = "diskwise.vm"
author = copyright = "diskwise.vm contributors"
release = version = str(collection["version"])
html_title = f"{project} {release}"

extensions = ["myst_parser", "sphinx_antsibull_ext", "draw"]
myst_heading_anchors = 4
myst_fence_as_directive = ["chains", "mermaid"]
highlight_language = "text"
# Pages talk to nobody: references to other projects would need their inventories.
suppress_warnings = ["ref.ref"]

html_theme = "sphinx_ansible_theme"
html_theme_options = {
    "display_version": True,
    "collapse_navigation": False,
    "topbar_links": {"Source": collection["repository"]},
    "documentation_home_url": collection["documentation"],
}
html_static_path = []
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_last_updated_fmt = None
