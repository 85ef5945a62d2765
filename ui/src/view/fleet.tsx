// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Many VMs: one line for each, with a link to its page.

import { many, size } from "../text";

export interface Entry {
  name: string;
  id: string;
  file: string;
  power: string;
  disks: number;
  snapshots: number;
  deepest: number;
  size: number | null;
  preview: string;
  problems: number;
}

export function Fleet({ vms, collected }: { vms: readonly Entry[]; collected: string }) {
  const previews = vms.filter((vm) => vm.preview).length;
  return (
    <>
      <header class="page">
        <div>
          <p class="kicker">Snapshot composer</p>
          <h1>{many(vms.length, "VM")}</h1>
          <p class="facts">
            <span>{many(previews, "open preview")}</span>
            <span>{many(vms.reduce((sum, vm) => sum + vm.snapshots, 0), "snapshot")}</span>
          </p>
        </div>
        <div class="meta">{collected}</div>
      </header>
      <main>
        <section class="card" aria-label="VMs">
          <div class="scroll">
            <table class="fleet">
              <caption class="hidden">VMs with their snapshots</caption>
              <thead>
                <tr>
                  {["VM", "Power", "Preview", "Disks", "Snapshots", "Deepest chain", "In images", "Problems"].map((title) => (
                    <th scope="col" key={title}>
                      {title}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {vms.map((vm) => (
                  <tr key={vm.id} data-test="vm" data-id={vm.id}>
                    <th scope="row">
                      <a href={vm.file}>
                        <bdi>{vm.name}</bdi>
                      </a>
                    </th>
                    <td>{vm.power}</td>
                    <td>{vm.preview ? <span class="badge eye">{vm.preview}</span> : "-"}</td>
                    <td>{vm.disks}</td>
                    <td>{vm.snapshots}</td>
                    <td>{vm.deepest}</td>
                    <td>{size(vm.size)}</td>
                    <td>{vm.problems ? <b class="out">{vm.problems}</b> : "-"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      </main>
    </>
  );
}
