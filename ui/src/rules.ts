// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// The rules without the page, for the tests that run them under node.

export * from "./compose";
export * from "./create";
export * from "./emit";
export * from "./hardware";
export * from "./losses";
export * from "./model";
export * from "./lanes";
