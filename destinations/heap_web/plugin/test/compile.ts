/** Test-only: what the server does to mappings before it gives them to the page. */

import type { Value } from "../src/value";

const NOWHERE = ["exists", null];

const KEY = /\[(['"])([^\]]*?\.[^\]]*?)\1\]/;

const parts = (text: string): string[] =>
  text
    .split(/\.|\[(?=['"\d])|(?<=['"\d])\]/)
    .filter(Boolean)
    .map((part) => part.replace(/['"]/g, ""));

/** The form of a path. */
export function path(text: string): Value {
  const whole = text.replace(/^\$(\.|$)/, "");
  const split = ["get", ...parts(whole)];
  if (!KEY.test(whole)) return split;
  const exact: string[] = [];
  let rest = whole;
  for (let at; (at = KEY.exec(rest)); rest = rest.slice(at.index + at[0].length))
    exact.push(...parts(rest.slice(0, at.index)), at[2]!);
  return ["or", ["get", ...exact, ...parts(rest)], split];
}

/** The form of a mapping. */
export function compile(mapping: any): Value {
  if (Array.isArray(mapping)) return ["list", ...mapping.map(compile)];
  if (!mapping || typeof mapping != "object") return mapping;
  const name = Object.keys(mapping).find((key) => key.startsWith("@"));
  if (!name) return Object.fromEntries(Object.entries(mapping).map(([key, value]) => [key, compile(value)]));
  const argument = mapping[name];
  const branch = (key: string) => (key in argument ? compile(argument[key]) : NOWHERE);
  switch (name) {
    case "@path":
      return typeof argument == "string" ? path(argument) : ["at", compile(argument)];
    case "@template": {
      if (typeof argument != "string") return ["template", compile(argument)];
      const parts: Value[] = [];
      let last = 0;
      for (const found of argument.matchAll(/{{{([^}]+)}}}|{{([^}]+)}}/g)) {
        parts.push(argument.slice(last, found.index), path((found[1] ?? found[2]!).trim()));
        last = found.index! + found[0].length;
      }
      return ["text", ...parts, argument.slice(last)];
    }
    case "@if": {
      const test = "exists" in argument ? "exists" : "blank";
      return [test, branch(test), branch("then"), branch("else")];
    }
    case "@case":
      return [argument.operator == "lower" ? "toLowerCase" : "toUpperCase", branch("value")];
    case "@replace": {
      const flags = (argument.global === false ? "" : "g") + (argument.ignorecase ? "i" : "");
      const replace = (value: Value, n: string): Value =>
        "pattern" + n in argument
          ? ["replace", value, argument["pattern" + n].replace(/[^\w\s]/g, "\\$&"), flags, argument["replacement" + n] ?? ""]
          : value;
      return replace(replace(branch("value"), ""), "2");
    }
    case "@arrayPath": {
      const [data, shape] = argument;
      const found = typeof data == "string" ? path(data) : compile(data);
      const isShape = shape && typeof shape == "object" && !Array.isArray(shape) && Object.keys(shape).length;
      return isShape ? ["each", ["wrap", found], compile(shape)] : found;
    }
    case "@literal":
      return compile(argument);
    case "@json":
      return [argument.mode, branch("value")];
    case "@flatten":
      return ["flatten", branch("value"), branch("separator"), argument.omitArrays === true];
    case "@merge": {
      const objects = argument.objects.map(compile);
      return ["merge", ...(argument.direction == "left" ? objects.reverse() : objects)];
    }
    case "@transform":
      return ["with", ["or", compile(argument.apply), {}], compile(argument.mapping)];
    case "@excludeWhenNull":
      return ["dropNull", compile(argument)];
  }
  throw new Error("unknown directive " + name);
}
