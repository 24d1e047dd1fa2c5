/** Mappings, in the form that the server compiled (README, "Mapping forms"). */

import { refuse } from "./refusal";
import { assign, copy, get, isList, isObject, type Members, type Value } from "./value";

/**
 * What `form` gives for `event`. An undefined member is left in: merged, it removes the others of
 * its name, and `copy` drops it at last.
 */
export function resolve(form: Value, event: Value): Value {
  if (isObject(form)) return assign({}, form, (value) => resolve(value, event));
  if (!isList(form)) return form;

  const [operator, ...rest] = form;
  const values = rest.map((value) => resolve(value, event));
  const [a, b, c, d] = values as [Value, string, string, string];
  switch (operator) {
    case "get":
      return get(event, values);
    case "at":
      return typeof a == "string" ? at(event, a) : undefined;
    case "list":
      return values.map((value) => (value === undefined ? null : value));
    case "text":
      return values.map(text).join("");
    case "template":
      return typeof a == "string"
        ? a.replace(/{{{([^}]+)}}}|{{([^}]+)}}/g, (_, a, b) => text(at(event, (a || b).trim())))
        : undefined;
    case "or":
      return a === undefined ? b : a;
    case "exists":
      return a != null ? b : c;
    case "blank":
      // Loose on purpose: 0, false, [], [""] and [null] are blank, " " and {} are not.
      return a != null && (typeof a == "object" ? text(a) : (a as unknown)) != "" ? b : c;
    case "toLowerCase":
    case "toUpperCase":
      return typeof a == "string" ? a[operator]() : a;
    case "replace":
      return (typeof a == "object" ? "" : text(a)).replace(new RegExp(b, c), () => d);
    case "wrap":
      return isObject(a) ? [a] : a;
    case "each":
      return isList(a) ? a.map((item) => resolve(rest[1], item)) : a;
    case "with":
      return resolve(rest[1], copy(a));
    case "encode":
      return JSON.stringify(a);
    case "decode":
      try {
        return JSON.parse(typeof a == "string" ? a : "");
      } catch (_) {
        return a;
      }
    case "flatten":
      const opens = (value: Value) => isObject(value) || (!c && isList(value));
      return opens(a) ? copy(assign({}, a as {}, same, opens, b)) : a;
    case "merge":
      return Object.assign({}, ...(values as Members[]));
    case "dropNull":
      return dropNull(a);
  }
  return refuse("unsupported");
}

/** The value at a path that is known only now; other paths come as keys. */
const at = (event: Value, path: string): Value =>
  get(event, path.replace(/^\$(\.|$)/, "").match(/[^.[\]'"]+/g) || []);

const same = (value: Value) => value;

const dropNull = (value: Value): Value =>
  value === null ? undefined : isObject(value) ? assign({}, value, dropNull) : value;

/** A value inside a text. */
const text = (value: Value): string =>
  value == null ? "" : isList(value) ? value.map(text).join() : isObject(value) ? JSON.stringify(value) : "" + value;
