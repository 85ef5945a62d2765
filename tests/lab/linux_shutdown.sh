#!/bin/sh
# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# /sbin/shutdown of the Linux guest: called for the power button, and by the agent with the options of shutdown(8).
how=poweroff
for option in "$@"; do [ "$option" = -r ] && how=reboot; done
echo "linux off $*" >/dev/ttyS0
touch /run/stop
usleep 200000  # let the round end
sync
for name in os data logs; do
  if [ -d "/$name" ]; then umount "/$name" || mount -o remount,ro "/$name"; fi
done
$how -f
