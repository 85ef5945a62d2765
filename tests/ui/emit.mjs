// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the page hands over for options that come in, as [task, extra variables].  node emit.mjs RULES <options.json

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const rules = await import(pathToFileURL(process.argv[2]).href);

function answer({ report, options, verb, connection }) {
  return [rules.taskText(new rules.Vm(report), verb, options, connection), rules.extraVars(verb, options, connection)];
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
