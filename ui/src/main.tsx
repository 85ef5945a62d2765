// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import { render } from "preact";
import { Vm } from "./model";
import { App, type Settings } from "./view/app";
import { type Entry, Fleet } from "./view/fleet";

interface Data {
  report?: object;
  fleet?: Entry[];
  settings: Partial<Pick<Settings, "uri" | "auth" | "hosts" | "profiles" | "collected">>;
}

const root = document.getElementById("page")!;
const data: Data = JSON.parse(document.getElementById("report")!.textContent!);
const given = data.settings.collected ? Date.parse(data.settings.collected) : NaN;
// The page itself holds no time unless it was given one: made again from the same data it is the same file, and the file knows when.
const made = new Date(Number.isNaN(given) ? document.lastModified : given);
const collected = `Collected ${made.toISOString().slice(0, 16).replace("T", " ")} UTC`;
root.textContent = "";
if (data.fleet) {
  document.title = "VMs - Snapshot composer";
  render(<Fleet vms={data.fleet} collected={collected} />, root);
} else {
  const vm = new Vm(data.report!);
  document.title = `${vm.name} - Snapshot composer`;
  const settings: Settings = { hosts: "localhost", profiles: {}, ...data.settings, now: made.getTime() / 1000, collected };
  render(<App vm={vm} settings={settings} />, root);
}
