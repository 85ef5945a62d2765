// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// May this snapshot be taken? The twin of _engine/create.py.

import type { Judgement, Refusal } from "./compose";
import { NOTHING } from "./losses";
import { type Disk, RESERVED, type Snapshot, type Vm } from "./model";

const LONGEST_NAME = 240;

export type Quiesce = "required" | "preferred" | "never";

export interface Wanted {
  name: string;
  description: string;
  /** Disk ids, in the VM's order. */
  disks: readonly string[];
  memory: boolean;
  quiesce: Quiesce;
  allow_partial_memory: boolean;
}

export function judgeCreating(vm: Vm, wanted: Wanted): Judgement {
  const refusals = [...ofText("name", wanted.name, vm), ...ofText("description", wanted.description, vm), ...ofName(wanted.name)];
  const judged = (changes: boolean, warnings: string[] = []): Judgement => ({ refusals, warnings, changes, loss: NOTHING });
  if (vm.can.longest_text > 0 && [...wanted.name].length + [...wanted.description].length > vm.can.longest_text) {
    refusals.push({ reason: "bad_name", says: `name and description have more than ${vm.can.longest_text} characters` });
  }
  const chosen = wanted.disks.map((id) => vm.disk(id));
  for (const disk of chosen) {
    if (disk.fixed) refusals.push({ reason: "fixed_disk", says: `${vm.label(disk.id)} cannot take part in a snapshot: ${disk.fixed}` });
  }
  const named = vm.snapshots.filter((snapshot) => snapshot.name === wanted.name);
  if (named.length > 1) refusals.push({ reason: "ambiguous_snapshot", says: `${named.length} snapshots have that name already` });
  if (named.length === 1 && !refusals.length) {
    const difference = differenceOf(vm, named[0]!, chosen, wanted);
    if (!difference) return judged(false);
    refusals.push({ reason: "snapshot_differs", says: `there is a snapshot of that name, which ${difference}` });
  }
  if (vm.preview) refusals.push({ reason: "in_preview", says: `${vm.name} is in a preview: commit or undo it first` });
  refusals.push(...ofPower(vm, wanted, chosen), ...ofMemory(vm, wanted, chosen), ...ofImages(vm, chosen), ...ofFreezing(vm, wanted, chosen));
  const blocking = vm.problems.filter((problem) => problem.blocks).map((problem) => ({ reason: problem.code, says: problem.says }));
  refusals.push(...blocking);
  return judged(!refusals.length, refusals.length ? [] : warningsOf(vm, wanted, chosen));
}

/** Why the disk takes no part by itself. */
export function troubleOf(vm: Vm, disk: Disk): string {
  return disk.fixed || (isMissing(vm, disk) ? "its image is not there" : "");
}

function ofText(what: string, text: string, vm: Vm): Refusal[] {
  for (const char of text) {
    const code = char.codePointAt(0)!;
    const bad = /[\p{Cc}\p{Cs}\p{Co}]/u.test(char) || (code & 0xfffe) === 0xfffe;
    if (bad || (vm.can.plain_text && code > 127 && !/\p{L}/u.test(char))) {
      const hex = code.toString(16).toUpperCase().padStart(4, "0");
      return [{ reason: "bad_character", says: `the ${what} holds the character U+${hex}` }];
    }
  }
  return [];
}

function ofName(name: string): Refusal[] {
  if (!name.trim()) return [{ reason: "bad_name", says: "a snapshot needs a name" }];
  if (RESERVED.includes(name)) return [{ reason: "reserved_name", says: `${name} has a meaning of its own; choose another name` }];
  if (name !== name.trim()) return [{ reason: "bad_name", says: "the name begins or ends with a space" }];
  if (name.includes("/") || name.startsWith(".")) return [{ reason: "bad_name", says: "the name holds a / or begins with a ." }];
  if (new TextEncoder().encode(name).length > LONGEST_NAME) return [{ reason: "bad_name", says: `the name is longer than ${LONGEST_NAME} bytes` }];
  return [];
}

function differenceOf(vm: Vm, snapshot: Snapshot, chosen: readonly Disk[], wanted: Wanted): string {
  if (snapshot.unusable) return `cannot be used: ${snapshot.unusable}`;
  const has = [...snapshot.images.keys()].map((disk) => vm.label(disk)).sort();
  const wants = chosen.map((disk) => vm.label(disk.id)).sort();
  if (has.join("\n") !== wants.join("\n")) return `holds disks ${has.join(", ") || "(none)"}, not ${wants.join(", ") || "(none)"}`;
  if (snapshot.memory !== wanted.memory) return snapshot.memory ? "holds the memory" : "does not hold the memory";
  return "";
}

function ofPower(vm: Vm, wanted: Wanted, chosen: readonly Disk[]): Refusal[] {
  const found: Refusal[] = [];
  if (vm.power === "suspended" && !vm.can.create_suspended) {
    found.push({ reason: "vm_suspended", says: `${vm.name} is suspended: its saved memory belongs to the disks as they are` });
  }
  if (vm.checkpoints.length && vm.power === "down" && chosen.length) {
    found.push({ reason: "checkpoints", says: "it has checkpoints, with which no disk of a VM that is down can be snapshotted" });
  }
  if (wanted.memory && vm.power === "down") found.push({ reason: "memory_needs_running", says: `${vm.name} is down, so there is no memory to save` });
  return found;
}

function ofMemory(vm: Vm, wanted: Wanted, chosen: readonly Disk[]): Refusal[] {
  const left = vm.disks.filter((disk) => !disk.fixed && !chosen.some((found) => found.id === disk.id)).map((disk) => vm.label(disk.id));
  if (!wanted.memory || !left.length || wanted.allow_partial_memory) return [];
  return [{ reason: "partial_memory", says: `memory without ${left.join(", ")} can corrupt the guest's data when it is restored` }];
}

function isMissing(vm: Vm, disk: Disk): boolean {
  return vm.chain(vm.leaf.get(disk.id)).some((image) => vm.images.get(image)?.missing);
}

function ofImages(vm: Vm, chosen: readonly Disk[]): Refusal[] {
  return chosen
    .filter((disk) => isMissing(vm, disk))
    .map((disk) => ({ reason: "missing_image", says: `an image of ${vm.label(disk.id)} is not there` }));
}

function ofFreezing(vm: Vm, wanted: Wanted, chosen: readonly Disk[]): Refusal[] {
  if (wanted.quiesce !== "required" || vm.power === "down" || !(chosen.length || wanted.memory)) return [];
  if (wanted.memory) return [{ reason: "quiesce_with_memory", says: "a snapshot with memory is taken without freezing the guest" }];
  if (vm.power === "paused" || !vm.agent) return [{ reason: "quiesce_impossible", says: "the guest cannot be frozen: no agent answers" }];
  return [];
}

function warningsOf(vm: Vm, wanted: Wanted, chosen: readonly Disk[]): string[] {
  const freezes = wanted.quiesce !== "never" && vm.power !== "down" && (chosen.length || wanted.memory);
  const asked = freezes && (wanted.quiesce === "required" || (vm.agent && vm.power === "up" && !wanted.memory));
  if (asked && !vm.can.tells_quiesced) return ["the hypervisor freezes the guest by itself if it can, and does not tell whether it could"];
  if (wanted.quiesce === "preferred" && ["up", "paused"].includes(vm.power) && chosen.length && !wanted.memory && !(vm.agent && vm.power === "up")) {
    const why = vm.power === "paused" ? "it is paused" : "its agent does not answer";
    return [`the guest was not frozen: ${why}; the snapshot is like after a power loss`];
  }
  return [];
}
