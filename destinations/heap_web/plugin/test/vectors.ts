/** Vectors: cases as data, one JSON document a line. */

import { existsSync, readFileSync } from "node:fs";

const ROOT = new URL("../../../../", import.meta.url);

export const present = (path: string) => existsSync(new URL(path, ROOT));

export const cases = (path: string): any[] =>
  readFileSync(new URL(path, ROOT), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
