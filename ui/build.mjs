// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Builds the page: one HTML file in which only the data is missing. The same sources give the same bytes, wherever they are built.
//
//   node build.mjs               the page, to where the collection has it
//   node build.mjs --to FILE     to another file
//   node build.mjs --rules FILE  the rules alone, as a module for node

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const PAGE = join(HERE, "..", "roles", "snapshot_report", "files", "composer.html");

async function bundle(entry, more) {
  const made = await build({
    absWorkingDir: HERE,
    bundle: true,
    charset: "ascii",
    entryPoints: [entry],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "inline",
    minify: true,
    target: "es2022",
    write: false,
    ...more,
  });
  return made.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

export async function page() {
  const script = await bundle("src/main.tsx", { format: "iife" });
  const style = await bundle("src/style.css", { loader: { ".css": "css" } });
  if (/<\/script|<!--/i.test(script) || /<\/style/i.test(style)) throw new Error("the bundle would end its own element");
  const licence = readFileSync(join(HERE, "node_modules", "preact", "LICENSE"), "utf8").trim();
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const parts = { LICENCE: licence, POLICY: policy, SCRIPT: script, STYLE: style };
  const shell = readFileSync(join(HERE, "src", "page.html"), "utf8");
  const made = shell.replace(/@@(LICENCE|POLICY|SCRIPT|STYLE)@@/g, (_, part) => parts[part]);
  if (/[^\x0a\x20-\x7e]/.test(made)) throw new Error("the page is not plain ASCII");
  if (made.split("@@REPORT@@").length !== 2) throw new Error("the page has not exactly one place for its data");
  return made;
}

export const rules = () => bundle("src/rules.ts", { format: "esm", platform: "neutral" });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [option, file] = process.argv.slice(2);
  if (option === "--rules") writeFileSync(file, await rules());
  else writeFileSync(option === "--to" ? file : PAGE, await page());
}
