/** JSON values, as events, mappings and payloads hold them. */

/** `undefined` is a path that leads nowhere; it occurs only while a mapping is resolved. */
export type Value = undefined | null | boolean | number | string | Value[] | Members;
export type Members = { [key: string]: Value };

export const isList = Array.isArray as (value: Value) => value is Value[];

export const isObject = (value: Value): value is Members => !!value && typeof value == "object" && !isList(value);

/** The value as JSON has it: dates as text, nothing undefined, own members only. */
export const copy = (value: unknown): Value => JSON.parse(JSON.stringify(value));

/** The value at `keys`: own members only; a falsy value on the way is the result. */
export function get(value: Value, keys: Value[]): Value {
  for (const key of keys as string[]) {
    if (!value) break;
    value = {}.hasOwnProperty.call(value, key) ? (value as Members)[key] : undefined;
  }
  return value;
}

/**
 * Puts the members of `object` into `out`, what `change` makes of them; instead of a value that
 * `opens` its members, keys joined by `separator`. A member named `__proto__` is lost.
 */
export function assign(
  out: Members,
  object: Members,
  change: (value: Value) => Value,
  opens: (value: Value) => unknown = () => false,
  separator = "",
  prefix = "",
): Members {
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (opens(value)) assign(out, value as Members, change, opens, separator, prefix + key + separator);
    else out[prefix + key] = change(value);
  }
  return out;
}
