# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the bootstrap script that ansible-test downloads: the pip that comes with Python installs the pip that was asked for.

ansible-test calls it with "pip==VERSION" and some options. Nothing is fetched but from the package index that pip is set up for.
"""

import subprocess
import sys

# In a process of its own: within this one, ensurepip would hide pip's configuration from all that follows.
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))
