// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the configuration of a composition changes of the VM besides its disks.

import type { Composition, Hardware, Vm } from "./model";

export interface Change {
  what: keyof Hardware;
  now: Hardware[keyof Hardware];
  then: Hardware[keyof Hardware];
}

/** Empty also where nobody knows. */
export function configChanges(vm: Vm, shows: Composition): Change[] {
  const now = vm.hardware;
  const then = shows.config === null ? null : vm.snapshot(shows.config).hardware;
  if (!now || !then) return [];
  const all = (Object.keys(now) as (keyof Hardware)[]).map((what) => ({ what, now: now[what], then: then[what] }));
  return all.filter((each) => String(each.now) !== String(each.then));
}
