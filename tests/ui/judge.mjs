// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the page's rules say to vectors: a list of them comes in, a list of {options, says} goes out.  node judge.mjs RULES <vectors.json

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const rules = await import(pathToFileURL(process.argv[2]).href);
const CAREFUL = { allow_partial_memory: false, allow_disk_removal: false, if_running: "fail" };

function answer({ report, verb, shows, snapshot, allowed }) {
  const vm = new rules.Vm(report);
  const permitted = { ...CAREFUL, ...allowed };
  let options, judged, shown;
  if (verb === "create") {
    options = rules.creatingOptions(vm, snapshot);
    judged = rules.judgeCreating(vm, snapshot);
  } else if (verb === "commit" || verb === "undo") {
    shown = vm.preview?.shows;
    options = rules.leavingOptions(vm, verb, permitted);
    judged = rules.judgeLeaving(vm, verb, permitted);
  } else {
    shown = rules.composition(shows);
    options = rules.composingOptions(vm, shown, permitted, verb);
    judged = rules.judge(vm, shown, verb, permitted);
  }
  if (judged.refusals.length) return { options, says: { refused: judged.refusals[0].reason } };
  const says = { changes: judged.changes, warnings: judged.warnings };
  if (verb !== "create") says.loss = judged.loss;
  const changes = shown ? rules.configChanges(vm, shown) : [];
  return { options, says: changes.length ? { ...says, config_changes: changes } : says };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
