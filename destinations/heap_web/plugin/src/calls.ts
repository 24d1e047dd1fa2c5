/** The calls on Heap's script that one payload becomes. */

import { refuse } from "./refusal";
import type { ActionType, Settings } from "./settings";
import { assign, isList, isObject, type Members, type Value } from "./value";

export type Call = [method: string, ...args: Value[]];

/** Checks the payload's fields and gives the calls in order; refuses if it can't. */
export function calls(type: ActionType, payload: Value, settings: Settings): Call[] {
  const list: Call[] = [];

  /** The field, if `fits`; a list of one is its item if that is a scalar; absent, null and empty are `none`. */
  const field = <T extends Value>(key: string, none: T, fits: (value: Value) => unknown): T => {
    let value = isObject(payload) ? payload[key] : refuse("invalid_payload");
    if (fits != isObject && isList(value) && value.length == 1) value = value[0];
    return value == null || value === "" ? none : fits(value) ? (value as T) : refuse("invalid_payload");
  };
  const text = (key: string) => "" + field(key, "", (value) => typeof value != "object");
  const object = (key: string) => field(key, {}, isObject) as Members;
  const id = (key: string): string => {
    const value = text(key).trim();
    return value == "0" ? "" : value;
  };
  const flat = (out: Members, object: Members): Members => {
    assign(out, object, scalar, isObject, ".");
    delete out[""];
    return out;
  };
  const scalar = (value: Value): Value =>
    value === null || (typeof value == "number" && settings.numbers == "number")
      ? value
      : isList(value)
        ? JSON.stringify(value)
        : "" + value;
  const user = (known: Members, identity: string) => {
    if (Object.keys(flat(known, object("traits")))[0]) list.push(["addUserProperties", known]);
    if (identity.length > 255) refuse("identity_too_long");
    if ((settings.refusedIdentities || []).includes(identity)) refuse("identity_refused");
    if (identity) list.push(["identify", identity]);
  };
  const track = (name: string, object: Members) =>
    list.push(["track", name, flat({ segment_library: "browser-destination" }, object)]);

  if (type == "identifyUser") user({}, id("userId"));
  else {
    const name = text("name") || refuse("invalid_payload");
    const properties = object("properties");
    const anonymous = id("anonymousId");
    user(anonymous ? { anonymous_id: anonymous } : {}, id("identity"));
    let left = settings.browserArrayLimit!; // without one no comparison holds
    for (const key of Object.keys(properties)) {
      const items = properties[key];
      if (isList(items))
        for (const item of items)
          if (item !== null && left-- > 0) track(`${name} ${key} item`, isObject(item) ? item : { value: item });
    }
    track(name, properties);
  }
  return list;
}
