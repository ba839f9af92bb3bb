// The provider that a configuration names. The clouds' clients are large: they are loaded here and
// only when one is wanted.

import type { Provider } from "./provider.ts";
import type { CloudConfig, CloudDeps } from "./provider-config.ts";

/**
 * Makes it, connecting to nothing yet. INVALID_ARGUMENT where the configuration cannot be, which
 * needs no cloud to tell.
 */
export async function createProvider(config: CloudConfig, deps: CloudDeps): Promise<Provider> {
  if (config.provider === "aws") {
    const { createEc2Provider } = await import("./ec2-provider.ts");
    return createEc2Provider(config, deps);
  }
  const { createKubernetesProvider } = await import("./kubernetes-provider.ts");
  return createKubernetesProvider(config, deps);
}
