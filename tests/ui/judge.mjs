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
  let options, judged;
  if (verb === "create") {
    options = rules.creatingOptions(vm, snapshot);
    judged = rules.judgeCreating(vm, snapshot);
  } else if (verb === "commit" || verb === "undo") {
    options = rules.leavingOptions(vm, verb, permitted);
    judged = rules.judgeLeaving(vm, verb, permitted);
  } else {
    const composition = rules.composition(shows);
    options = rules.composingOptions(vm, composition, permitted, verb);
    judged = rules.judge(vm, composition, verb, permitted);
  }
  if (judged.refusals.length) return { options, says: { refused: judged.refusals[0].reason } };
  const says = { changes: judged.changes, warnings: judged.warnings };
  return { options, says: verb === "create" ? says : { ...says, loss: judged.loss } };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
