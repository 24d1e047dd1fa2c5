/** Why an action can't send an event. */

/** Stops the action. Receipts tell `reason` as it is, so it must hold nothing of the event. */
export function refuse(reason: "invalid_payload" | "identity_too_long" | "identity_refused" | "unsupported"): never {
  throw reason;
}
