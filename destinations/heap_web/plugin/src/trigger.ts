/** Triggers, as trees that the server compiled (README, "Trigger trees"). */

import { refuse } from "./refusal";
import { get, type Value } from "./value";

export type Tree = [operator: string, ...rest: Value[]];

/** True if the trigger fires. Every node is looked at, so that an unknown one is always noticed. */
export function fires([operator, ...rest]: Tree, event: Value): boolean {
  const nodes = () => rest.map((node) => fires(node as Tree, event));
  if (operator == "and") return !nodes().includes(false);
  if (operator == "or") return nodes().includes(true);
  if (operator == "not") return nodes().includes(false);

  const literal = rest[1] as string;
  const found = get(event, ([] as Value[]).concat(rest[0]));
  const value: any = found === undefined ? null : found; // its type is what the operators ask
  const number: boolean = typeof value == "number";
  const text: boolean = typeof value == "string";
  const verdict = {
    "=": value === literal,
    "!=": value !== literal,
    "<>": number && value !== literal,
    "<": number && value < literal,
    "<=": number && value <= literal,
    ">": number && value > literal,
    ">=": number && value >= literal,
    contains: text && value.includes(literal),
    "!contains": text && !value.includes(literal),
    starts: text && value.startsWith(literal),
    "!starts": text && !value.startsWith(literal),
    ends: text && value.endsWith(literal),
    "!ends": text && !value.endsWith(literal),
  }[operator];
  return typeof verdict == "boolean" ? verdict : refuse("unsupported");
}
