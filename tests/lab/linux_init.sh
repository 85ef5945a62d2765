#!/bin/sh
# SPDX-FileCopyrightText: diskwise.vm contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# /init of the Linux guest. It mounts the disks it finds at /os, /data and /logs, starts the agent, and plays the same game as the tape
# guest: round after round, one record to every disk in turn. The root file system is in memory and never frozen, so only the disks
# carry state, and commands work while they are frozen.
# Lines on the serial port: "linux ready boot=<id> os=<round> data=<round> logs=<round>", "linux off <why>", "linux trouble <what>".

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
while read -r module; do insmod "/modules/$module.ko"; done </modules/order

say() { echo "linux $*" >/dev/ttyS0; }

# The power button is looked up by name: the keyboard may be the first input device.
for input in /sys/class/input/event*; do
  if grep -q 'Power Button' "$input/device/name"; then
    (dd if="/dev/input/${input##*/}" of=/dev/null bs=24 count=1 2>/dev/null; exec /sbin/shutdown button) &
  fi
done

disks=
for pair in os:vda data:vdb logs:vdc; do
  name=${pair%:*} device=/dev/${pair#*:}
  [ -b "$device" ] || continue
  mkdir -p "/$name"
  if mount -t ext4 "$device" "/$name"; then disks="$disks $name"; else say "trouble mount $device"; fi
done

port() {  # the device of the channel with this name
  found=$(grep -lx "$1" /sys/class/virtio-ports/*/name 2>/dev/null) || return 1
  found=${found%/name}
  echo "/dev/${found##*/}"
}

if agent=$(port org.qemu.guest_agent.0); then
  qemu-ga --method=virtio-serial --path="$agent" --statedir=/run --pidfile=/run/agent.pid --daemonize --logfile=/run/agent.log
fi

# The lab's own channel works when the agent hangs.
if control=$(port diskwise.lab); then
  (
    exec 3<>"$control"
    while :; do
      while read -r word <&3; do
        case $word in
          hang) kill -STOP "$(cat /run/agent.pid)" ;;
          wake) kill -CONT "$(cat /run/agent.pid)" ;;
          end) kill -KILL "$(cat /run/agent.pid)" ;;
        esac
        echo "done $word" >&3
      done
      usleep 50000  # nobody is connected at the other end
    done
  ) &
fi

round=0 seen=
for name in $disks; do
  last=$(dd if="/$name/tape" bs=512 count=1 2>/dev/null | sed -n 's/^TAPE [a-z]* 0*\([0-9][0-9]*\) .*/\1/p')
  last=${last:-0} seen="$seen $name=$last"
  [ "$last" -gt "$round" ] && round=$last
done
boot=$(cut -c1-8 /proc/sys/kernel/random/boot_id)
echo "$boot" >/run/boot
say "ready boot=$boot$seen"

# In place and durable before the next disk's turn, so os >= data >= logs >= os - 1 at every instant.
while [ ! -e /run/stop ]; do
  round=$((round + 1))
  echo "$round" >/run/round
  for name in $disks; do
    printf '%-511s\n' "TAPE $name $(printf %012d "$round") boot=$boot" >/run/record
    dd if=/run/record of="/$name/tape" bs=512 count=1 conv=notrunc,fsync 2>/dev/null
  done
  usleep 20000
done
while :; do sleep 60; done
