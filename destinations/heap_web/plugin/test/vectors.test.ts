/** The vectors: triggers, mappings, and the calls on Heap's script. */

import { describe, expect, it, vi } from "vitest";
import { resolve } from "../src/mapping";
import { fires } from "../src/trigger";
import { copy } from "../src/value";
import { compile } from "./compile";
import { load, page, settings } from "./page";
import { parse } from "./parse";
import { cases, present } from "./vectors";

const TREES = "destinations/heap_web/vectors/trigger-trees.jsonl";
const FORMS = "destinations/heap_web/vectors/mapping-forms.jsonl";

const triggers = cases("crates/action/vectors/trigger.jsonl").filter((one) => "match" in one);
const mappings = cases("crates/action/vectors/mapping.jsonl").filter((one) => "payload" in one);
const web = cases("destinations/heap_web/vectors/heap-web.jsonl").filter((one) => "calls" in one);

const byId = (list: any[]) => new Map(list.map((one) => [one.id, one]));

describe("triggers", () => {
  it.each(triggers)("$id: $trigger", ({ trigger, event, match }) => {
    expect(fires(parse(trigger), event)).toBe(match);
  });
  if (present(TREES)) {
    const trees = byId(cases(TREES));
    it.each(triggers)("$id, as the server compiles it", ({ id, event, match }) => {
      expect(fires(trees.get(id).test, event)).toBe(match);
    });
  }
});

describe("mappings", () => {
  it.each(mappings)("$id", ({ mapping, event, payload }) => {
    expect(copy(resolve(compile(mapping), event))).toEqual(payload);
  });
  if (present(FORMS)) {
    const forms = byId(cases(FORMS));
    it.each(mappings)("$id, as the server compiles it", ({ id, event, payload }) => {
      expect(copy(resolve(forms.get(id).form, event))).toEqual(payload);
    });
  }
});

describe("blank", () => {
  const event = { text: [{ toString: [1] }], object: { toString: 1, valueOf: 2 }, two: [[], [null]], one: [[null]], zero: 0 };
  it.each([
    ["text", "given"],
    ["object", "given"],
    ["two", "given"],
    ["one", undefined],
    ["zero", undefined],
    ["none", undefined],
  ])("%s: %s, whatever the members of objects are called", (key, expected) => {
    expect(resolve(["blank", ["get", key], "given"], event)).toBe(expected);
  });
});

describe("calls", () => {
  it.each(web)("$id", async ({ settings: given, actions, event, calls }) => {
    vi.useFakeTimers();
    const here = page();
    const made = here.heap();
    const subscriptions = actions.map((action: any) => ({
      id: action.action,
      partnerAction: action.action,
      enabled: action.enabled,
      test: parse(action.trigger),
      mapping: compile(action.mapping),
    }));
    const { send } = await load(settings({ ...given, subscriptions }));
    // The vectors tell what the actions do once an event is let through; one says `All: false`.
    send({ ...event, integrations: undefined });
    expect(made).toEqual(calls.map(({ method, args }: any) => [method, ...args]));
    vi.useRealTimers();
  });
});
