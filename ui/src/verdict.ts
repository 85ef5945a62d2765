// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the page thinks of what is chosen: allowed or not, what to say, what to hand over. All of the page draws from this one value.

import { type Allowed, judge, judgeLeaving, type Judgement, EMPTY } from "./compose";
import { judgeCreating } from "./create";
import { type Connection, composingOptions, creatingOptions, extraVars, leavingOptions, PLAYBOOKS, playText, taskText } from "./emit";
import { destroyed, type Loss, ofUndo, sizeOf } from "./losses";
import { type Composition, type Vm, excluded } from "./model";
import type { State, Tab } from "./state";
import { size } from "./text";

export type Level = "error" | "danger" | "warning" | "info";

export interface Issue {
  code: string;
  level: Level;
  says: string;
  /** Can be accepted: which risk, and whether it is. */
  accept?: { what: "memory" | "removal"; on: boolean };
  /** Offers what to do with a VM that runs. */
  running?: boolean;
}

export interface Verdict {
  shows: Composition;
  judged: Judgement;
  issues: Issue[];
  commit: Loss;
  undo: Loss;
  doomed: ReadonlySet<string>;
  tabs: readonly { id: Tab; title: string }[];
  /** Which playbook of the collection takes the variables. */
  playbook: string;
  /** Empty when nothing may be handed over. */
  code: string;
  placeholder: string;
}

const COMPOSE: Verdict["tabs"] = [
  { id: "task", title: "Preview task" },
  { id: "play", title: "Preview, verify, commit or undo" },
  { id: "restore", title: "Restore task" },
  { id: "vars", title: "AWX extra vars" },
];
const CREATE: Verdict["tabs"] = [
  { id: "create", title: "Task" },
  { id: "vars", title: "AWX extra vars" },
];
const LEAVE: Verdict["tabs"] = [
  { id: "commit", title: "Commit task" },
  { id: "undo", title: "Undo task" },
];
const ACCEPTABLE: Readonly<Record<string, "memory" | "removal">> = { partial_memory: "memory", disk_removal: "removal" };

export function verdictOn(vm: Vm, state: State, connection: Connection): Verdict {
  if (vm.preview) return leaving(vm, state, connection);
  return state.mode === "create" ? creating(vm, state, connection) : composing(vm, state, connection);
}

function composing(vm: Vm, state: State, connection: Connection): Verdict {
  const { shows, tab } = state;
  const out = excluded(shows);
  const lost = destroyed(vm, shows);
  const allowed: Allowed = {
    allow_partial_memory: state.accepted.memory,
    // To leave a disk out is a choice of its own already; that it is destroyed must be accepted.
    allow_disk_removal: lost.length ? state.accepted.removal : out.length > 0,
    if_running: state.ifRunning,
  };
  const verb = tab === "restore" ? "restore" : "preview";
  const judged = judge(vm, shows, verb, allowed);
  const restored = judge(vm, shows, "restore", allowed);
  const issues = judged.refusals.map((refusal) => issueOf(refusal.reason, refusal.says));
  const without = (refused: Partial<Allowed>) => judge(vm, shows, verb, { ...allowed, ...refused });
  if (state.accepted.memory) issues.push(...accepted(without({ allow_partial_memory: false }), "partial_memory"));
  if (lost.length && state.accepted.removal) issues.push(...accepted(without({ allow_disk_removal: false }), "disk_removal"));
  for (const disk of out) issues.push({ code: "EXCLUDED", level: "danger", says: leftOut(vm, shows, disk) });
  const later = restored.refusals.find((refusal) => refusal.reason === "image_in_use");
  if (later && verb === "preview") issues.push({ code: "image_in_use", level: "danger", says: `A commit will be refused: ${later.says}` });
  const known = new Set(issues.map((issue) => issue.code));
  if (!judged.refusals.length && !judged.changes) issues.push({ code: "NO_CHANGE", level: "info", says: "The VM is exactly this already." });
  for (const says of judged.warnings) {
    if (!says.startsWith("the VM is exactly") && !(known.has("partial_memory") && says.startsWith("the memory of"))) {
      issues.push({ code: "WARNING", level: "warning", says: sentence(says) });
    }
  }
  if (vm.power !== "down" && vm.power !== "suspended" && !known.has("vm_running") && !known.has("nothing_to_preview")) {
    issues.push({ code: "VM_NOT_DOWN", level: "warning", says: `${vm.name} was ${vm.power} when this page was made; it will be stopped first`, running: true });
  }
  issues.push(...general(vm));
  let code = "";
  if (judged.changes) {
    const options = composingOptions(vm, shows, allowed, verb);
    if (tab === "play") code = restored.refusals.length ? "" : playText(vm, shows, allowed, connection);
    else code = tab === "vars" ? extraVars("preview", options, connection) : taskText(vm, verb, options, connection);
  }
  return {
    shows,
    judged,
    issues,
    commit: judged.loss,
    undo: ofUndo(vm),
    doomed: new Set(judged.loss.images),
    tabs: COMPOSE,
    playbook: tab === "vars" ? PLAYBOOKS.preview : "",
    code,
    placeholder: judged.refusals.some((refusal) => refusal.reason !== "nothing_to_preview")
      ? "# Resolve the point marked with a cross in the result; then the task appears here."
      : judged.changes
        ? "# A commit would be refused, see the result; so there is no play."
        : "# This is the current state. Choose a configuration or an image above; the task appears here.",
  };
}

function creating(vm: Vm, state: State, connection: Connection): Verdict {
  const wanted = state.snapshot;
  const judged = judgeCreating(vm, wanted);
  const issues = judged.refusals.map((refusal) => issueOf(refusal.reason, refusal.says));
  if (wanted.allow_partial_memory) issues.push(...accepted(judgeCreating(vm, { ...wanted, allow_partial_memory: false }), "partial_memory"));
  if (!wanted.disks.length) issues.push({ code: "CONFIG_ONLY", level: "info", says: "No disk is taken: the snapshot holds the configuration only." });
  if (!judged.refusals.length && !judged.changes) issues.push({ code: "NO_CHANGE", level: "info", says: "There is exactly such a snapshot already." });
  for (const says of judged.warnings) issues.push({ code: "WARNING", level: "warning", says: sentence(says) });
  issues.push(...general(vm));
  const options = creatingOptions(vm, wanted);
  return {
    shows: EMPTY,
    judged,
    issues,
    commit: judged.loss,
    undo: judged.loss,
    doomed: new Set(),
    tabs: CREATE,
    playbook: state.tab === "vars" ? PLAYBOOKS.create : "",
    code: judged.changes ? (state.tab === "vars" ? extraVars("create", options, connection) : taskText(vm, "create", options, connection)) : "",
    placeholder: judged.refusals.length ? "# Resolve the point marked with a cross; then the task appears here." : "# There is nothing to do.",
  };
}

function leaving(vm: Vm, state: State, connection: Connection): Verdict {
  const { shows } = vm.preview!;
  const verb = state.tab === "undo" ? "undo" : "commit";
  const allowed: Allowed = { allow_partial_memory: false, allow_disk_removal: state.accepted.removal, if_running: state.ifRunning };
  const judged = judgeLeaving(vm, verb, allowed);
  const commit = judgeLeaving(vm, "commit", allowed).loss;
  const undo = ofUndo(vm);
  const issues: Issue[] = [{ code: "IN_PREVIEW", level: "info", says: "Composing is off until the preview ends." }];
  issues.push(...judged.refusals.map((refusal) => issueOf(refusal.reason, refusal.says)));
  if (state.accepted.removal) issues.push(...accepted(judgeLeaving(vm, verb, { ...allowed, allow_disk_removal: false }), "disk_removal"));
  issues.push(...general(vm));
  return {
    shows,
    judged,
    issues,
    commit,
    undo,
    doomed: new Set((verb === "commit" ? commit : undo).images),
    tabs: LEAVE,
    playbook: "",
    code: judged.changes ? taskText(vm, verb, leavingOptions(vm, verb, allowed), connection) : "",
    placeholder: "# Resolve the point marked with a cross; then the task appears here.",
  };
}

/** What would be refused if it had not been accepted, so that it can be taken back. */
function accepted(judged: Judgement, reason: string): Issue[] {
  return judged.refusals
    .filter((refusal) => refusal.reason === reason)
    .map((refusal) => ({ ...issueOf(reason, refusal.says), level: "danger", accept: { what: ACCEPTABLE[reason]!, on: true } }));
}

function issueOf(code: string, says: string): Issue {
  if (code === "nothing_to_preview") return { code, level: "info", says: "This is the current state: nothing to preview yet." };
  const what = ACCEPTABLE[code];
  return { code, level: "error", says: sentence(says), ...(what ? { accept: { what, on: false } } : {}), ...(code === "vm_running" ? { running: true } : {}) };
}

function general(vm: Vm): Issue[] {
  const found: Issue[] = vm.problems
    .filter((problem) => !problem.blocks)
    .map((problem) => ({ code: problem.code, level: "warning", says: sentence(problem.says) }));
  if (vm.unfinished) found.push({ code: "UNFINISHED", level: "warning", says: `An interrupted run left work to do, which is done first: ${vm.unfinished}` });
  return found;
}

function leftOut(vm: Vm, shows: Composition, disk: string): string {
  const chain = destroyed(vm, shows).length ? [...vm.images.values()].filter((image) => image.disk === disk).map((image) => image.id) : vm.chain(vm.leaf.get(disk));
  const bytes = size(sizeOf(vm, chain));
  const what = `${vm.label(disk)} will not be part of the VM.`;
  if (destroyed(vm, shows).length) return `${what} A commit deletes it with every image that snapshots hold of it (${bytes}).`;
  return vm.can.unplugs ? `${what} It is unplugged, and stays with its images (${bytes}).` : `${what} A commit detaches it; its files stay (${bytes}).`;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
