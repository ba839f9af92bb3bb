// The door to machines: who can start further workers, and end them again. Local processes, EC2 and
// Kubernetes stand behind it; `test/conformance/provider.ts` says what all of them must do.

import type { Market } from "../core/scaling.ts";

/** One machine of a provider, as it lists it. */
export interface ProvidedMachine {
  /** The provider's own name of it: an instance id, a pod name, a process number. */
  readonly id: string;
  /** The token of the launch that started it. */
  readonly token: string;
  /**
   * `starting` until its program can run; `ending` once termination was asked for or announced;
   * `ended` machines may be listed for a while, as clouds do.
   */
  readonly state: "starting" | "running" | "ending" | "ended";
  readonly market: Market;
  /** When it was launched, Unix ms by the provider's clock. */
  readonly launchedAtMs: number;
  /** Type and place, such as `c5.2xlarge us-east-1a`, for people; "" where there is none. */
  readonly what: string;
}

/** One wish for machines. */
export interface LaunchRequest {
  /**
   * Names this launch for ever: a provider that is asked again with the same token starts nothing
   * further. Letters, digits and `-`, at most 60 characters.
   */
  readonly token: string;
  readonly market: Market;
  /** What the machine is to know: how to join, and when to end itself. */
  readonly boot: BootOrder;
}

/** What a started machine is told. */
export interface BootOrder {
  /** A one-use `builder://` invitation. */
  readonly invitation: string;
  /** Its name in the mesh; the provider's tags carry it too. */
  readonly name: string;
  /** It ends itself where it has not joined by then, in ms after its start. */
  readonly joinWithinMs: number;
  /** It ends itself where it saw no coordinator and had nothing to do for so long, in ms. */
  readonly aloneMsMax: number;
}

/** One call that a provider would make, for `--dry-run`. */
export interface PlannedCall {
  /** Such as `ec2:RunInstances` or `POST /api/v1/namespaces/builder/pods`. */
  readonly call: string;
  /** What it would send, secrets left out. */
  readonly input: unknown;
}

/**
 * Starts, lists and ends machines. Every method throws MeshError: RESOURCE_EXHAUSTED where the
 * provider has no room or quota (try later, or another kind), UNAVAILABLE where it does not answer
 * or asks to slow down, PERMISSION_DENIED for credentials, INVALID_ARGUMENT or NOT_FOUND for what
 * was configured wrongly; the message names the setting to change.
 */
export interface Provider {
  /** For people: `local`, `ec2 us-east-1`, `k8s builder`. */
  readonly name: string;
  /** Starts one machine, or finds the one that this token started. */
  launch(request: LaunchRequest, call: { readonly signal: AbortSignal }): Promise<ProvidedMachine>;
  /** Ends machines; those that do not exist any more are no error. */
  terminate(ids: readonly string[], call: { readonly signal: AbortSignal }): Promise<void>;
  /** Every machine of this mesh, by tags, whoever started it. */
  list(call: { readonly signal: AbortSignal }): Promise<readonly ProvidedMachine[]>;
  /** The calls that `launch` would make, making none. */
  plan(request: LaunchRequest): readonly PlannedCall[];
  close(): Promise<void>;
}
