/** Whether a value comes back from JSON as it is: plain objects, arrays, strings, finite numbers, booleans, null. */
export function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || depth > 200) return false;
  if (Array.isArray(value)) return value.every((one) => isJson(one, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  if ("toJSON" in value) return false;
  return Object.values(value).every((one) => one === undefined || isJson(one, depth + 1));
}
