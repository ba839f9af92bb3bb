// The network as something that an action asks for and a machine's owner allows: workers that give
// it say so among their properties, and actions that want it demand that, so they go elsewhere.

/** The platform property by which workers tell that actions may use the network of their host. */
export const networkProperty = "network";

/** The one value of it: a worker that gives none has no such property. */
export const networkGiven = "on";

/**
 * What an action's platform properties say of the network: `on` or `off`; undefined where nothing.
 * Other texts are the client's mistake, which the worker tells.
 */
export function networkAsked(properties: ReadonlyMap<string, string>): string | undefined {
  // `network` is the name BuildStream uses; `builder.network` is ours.
  return properties.get("builder.network") ?? properties.get("network");
}
