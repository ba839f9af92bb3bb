// Roles and their rights. Apart from the checks: a client reads flags with them, and loads no gRPC
// for that.

/** What a caller can be allowed to do. */
export type Right = "read" | "write-cas" | "write-ac" | "execute" | "admin";

/** The roles that people give, and the rights of each. */
export const rightsByRole = {
  none: [],
  /** Looks up results and reads blobs. */
  reader: ["read"],
  /** Builds remotely. Only workers write results: a lying client cannot poison the cache. */
  client: ["read", "write-cas", "execute"],
  /** Also stores results of its own: a CI machine that is trusted. */
  writer: ["read", "write-cas", "execute", "write-ac"],
  admin: ["read", "write-cas", "execute", "write-ac", "admin"],
} as const satisfies Readonly<Record<string, readonly Right[]>>;

/** One of the roles. */
export type Role = keyof typeof rightsByRole;

/** True for the name of a role. */
export function isRole(text: unknown): text is Role {
  return typeof text === "string" && Object.hasOwn(rightsByRole, text);
}

/** True where a role has a right. */
export function hasRight(role: Role, right: Right): boolean {
  const rights: readonly Right[] = rightsByRole[role];
  return rights.includes(right);
}
