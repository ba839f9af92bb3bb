// Machines of Amazon EC2, by AWS's own client. Credentials are where that client looks for them.

import {
  CreateFleetCommand,
  type CreateFleetError,
  CreateLaunchTemplateCommand,
  DeleteLaunchTemplateCommand,
  DescribeImagesCommand,
  EC2Client,
  type Instance,
  paginateDescribeInstances,
  paginateDescribeLaunchTemplates,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { MeshError } from "../core/error.ts";
import { ec2Error, faultOf, fleetError } from "./ec2-errors.ts";
import { ec2Tags, fleetInput, templateInput, templateName, withTag } from "./ec2-requests.ts";
import type { LaunchRequest, PlannedCall, ProvidedMachine, Provider } from "./provider.ts";
import { type CloudDeps, checkLaunch, type Ec2Config } from "./provider-config.ts";

/** Times and bounds of calls to EC2. */
export interface Ec2Options {
  readonly connectMsMax: number;
  /** One try of one call. */
  readonly answerMsMax: number;
  /** Tries of a call that was throttled or failed on the way; the client waits longer each time. */
  readonly tries: number;
  /** EC2 may not list what it started for so long, in ms; until then its word is believed. */
  readonly settleMs: number;
  /** Templates of launches that were cut off are deleted after so long, in ms. */
  readonly templateMsMax: number;
  readonly pageSize: number;
}

/** The defaults. */
export const ec2Defaults: Ec2Options = {
  connectMsMax: 5_000,
  answerMsMax: 20_000,
  tries: 4,
  settleMs: 60_000,
  templateMsMax: 3_600_000,
  pageSize: 500,
};

type Call = { readonly signal: AbortSignal };

/** EC2 ends so many at a time. */
const terminateAtOnce = 100;

/** Connects to nothing yet; `AWS_ENDPOINT_URL_EC2` names another server, as for every AWS tool. */
export function createEc2Provider(
  config: Ec2Config,
  deps: CloudDeps,
  options: Ec2Options = ec2Defaults,
): Provider {
  const { connectMsMax: connectionTimeout, answerMsMax: requestTimeout } = options;
  const client = new EC2Client({
    region: config.region,
    maxAttempts: options.tries,
    requestHandler: { connectionTimeout, requestTimeout, throwOnRequestTimeout: true },
  });
  const fresh = createFreshMachines(deps.now, options.settleMs);
  let sweepAtMs = 0;

  async function guarded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw ec2Error(error, config, signal);
    }
  }

  async function find(filter: ReturnType<typeof withTag>, { signal }: Call) {
    const input = { Filters: [withTag("mesh", deps.meshId), filter] };
    const found: ProvidedMachine[] = [];
    const pages = { client, pageSize: options.pageSize };
    for await (const page of paginateDescribeInstances(pages, input, { abortSignal: signal })) {
      const instances = (page.Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
      found.push(...instances.flatMap((instance) => machineOf(instance) ?? []));
    }
    return found;
  }

  async function start(request: LaunchRequest, { signal }: Call): Promise<ProvidedMachine> {
    const abort = { abortSignal: signal };
    const imageId = await imageIdOf(client, config, signal);
    const input = templateInput(config, { meshId: deps.meshId, imageId, request });
    await client.send(new CreateLaunchTemplateCommand(input), abort).catch(ignoring(existsAlready));
    const fleet = await client
      .send(new CreateFleetCommand(fleetInput(config, request)), abort)
      .catch(async (error: unknown) => {
        const failure = ec2Error(error, config, signal);
        // Where no answer came it may have worked: the next try wants the same template.
        if (failure.code !== "UNAVAILABLE" && !signal.aborted) await forget(request, signal);
        throw failure;
      });
    // The machine has its script: the template is of no more use.
    await forget(request, signal);
    const [started] = fleet.Instances ?? [];
    const [id, ...surplus] = (fleet.Instances ?? []).flatMap(
      ({ InstanceIds }) => InstanceIds ?? [],
    );
    // Fleets of one have been seen to start two (osbuild/osbuild-composer#4430).
    if (surplus.length > 0) await endAll(client, surplus, signal);
    if (id === undefined) throw fleetError((fleet.Errors ?? []).map(toFault), config);
    const { token, market } = request;
    const what = started?.InstanceType ?? "";
    return { id, token, state: "starting", market, launchedAtMs: deps.now(), what };
  }

  /** What cannot be deleted now is found by the sweep. */
  async function forget(request: LaunchRequest, abortSignal: AbortSignal): Promise<void> {
    const name = { LaunchTemplateName: templateName(request) };
    await client
      .send(new DeleteLaunchTemplateCommand(name), { abortSignal })
      .catch(() => undefined);
  }

  /** Templates of launches that a crash cut off hold no secret that still opens anything. */
  async function sweep({ signal }: Call): Promise<void> {
    if (deps.now() < sweepAtMs) return;
    sweepAtMs = deps.now() + options.templateMsMax;
    const input = { Filters: [withTag("mesh", deps.meshId)] };
    const abort = { abortSignal: signal };
    for await (const page of paginateDescribeLaunchTemplates({ client }, input, abort)) {
      for (const { LaunchTemplateId, CreateTime } of page.LaunchTemplates ?? []) {
        const ageMs = deps.now() - (CreateTime?.getTime() ?? deps.now());
        if (ageMs < options.templateMsMax || LaunchTemplateId === undefined) continue;
        await client.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId }), abort);
      }
    }
  }

  return {
    name: `ec2 ${config.region}`,
    launch: (request, call) =>
      guarded(call.signal, async () => {
        checkLaunch(request);
        // EC2 forgets a client token in time; a tag stays as long as the machine.
        const known = fresh.byToken(request.token);
        if (known !== undefined) return known;
        const [found] = (await find(withTag("token", request.token), call)).sort(livingFirst);
        if (found !== undefined) return found;
        await sweep(call).catch(() => undefined);
        const started = await start(request, call);
        fresh.add(started);
        return started;
      }),
    terminate: (ids, { signal }) =>
      guarded(signal, async () => {
        const known = ids.filter((id) => /^i-[0-9a-f]{8,17}$/.test(id));
        for (let at = 0; at < known.length; at += terminateAtOnce) {
          await endAll(client, known.slice(at, at + terminateAtOnce), signal);
        }
        for (const id of known) fresh.end(id);
      }),
    list: (call) =>
      guarded(call.signal, async () => fresh.joinedTo(await find(withTag("token", "*"), call))),
    plan: (request) => plannedCalls(config, deps.meshId, request),
    close: async () => client.destroy(),
  };
}

/**
 * Machines that EC2 started a moment ago: it may not list them yet, or list them as they were.
 * Bound: what `settleMs` of launches make.
 */
function createFreshMachines(now: () => number, settleMs: number) {
  const machineById = new Map<string, ProvidedMachine>();

  function forgetOld(): void {
    for (const [id, { launchedAtMs }] of machineById) {
      if (launchedAtMs + settleMs <= now()) machineById.delete(id);
    }
  }

  return {
    byToken: (token: string): ProvidedMachine | undefined => {
      forgetOld();
      return [...machineById.values()].find((machine) => machine.token === token);
    },
    add: (machine: ProvidedMachine) => {
      machineById.set(machine.id, machine);
    },
    end: (id: string) => {
      const machine = machineById.get(id);
      if (machine !== undefined) machineById.set(id, { ...machine, state: "ending" });
    },
    joinedTo: (listed: readonly ProvidedMachine[]): readonly ProvidedMachine[] => {
      forgetOld();
      const ids = new Set(listed.map(({ id }) => id));
      const unlisted = [...machineById.values()].filter(({ id }) => !ids.has(id));
      const current = listed.map((machine) =>
        machine.state !== "ended" && machineById.get(machine.id)?.state === "ending"
          ? { ...machine, state: "ending" as const }
          : machine,
      );
      return [...current, ...unlisted];
    },
  };
}

/** An image by its id as it is, by its name the newest that this account made of that name. */
async function imageIdOf(
  client: EC2Client,
  config: Ec2Config,
  abortSignal: AbortSignal,
): Promise<string> {
  const { imageId } = config;
  if (isImageId(imageId)) return imageId;
  // Of others' images anybody could make one of this name.
  const input = { Owners: ["self"], Filters: [{ Name: "name", Values: [imageId] }] };
  const { Images = [] } = await client.send(new DescribeImagesCommand(input), { abortSignal });
  const usable = Images.filter(({ State }) => State === undefined || State === "available");
  usable.sort((a, b) => ((a.CreationDate ?? "") < (b.CreationDate ?? "") ? 1 : -1));
  const id = usable[0]?.ImageId;
  if (id !== undefined) return id;
  throw new MeshError(
    "NOT_FOUND",
    `This account has no image named ${imageId} in ${config.region}. Correct --image-id.`,
  );
}

/** One id that does not exist any more must not keep the others alive. */
async function endAll(client: EC2Client, ids: readonly string[], abortSignal: AbortSignal) {
  const send = (InstanceIds: string[]) =>
    client.send(new TerminateInstancesCommand({ InstanceIds }), { abortSignal });
  try {
    await send([...ids]);
  } catch (error) {
    if (!isUnknownInstance(error)) throw error;
    if (ids.length > 1) {
      for (const id of ids) await send([id]).catch(ignoring(isUnknownInstance));
    }
  }
}

function plannedCalls(config: Ec2Config, meshId: string, request: LaunchRequest): PlannedCall[] {
  const { imageId } = config;
  const isId = isImageId(imageId);
  const secretless = { ...request, boot: { ...request.boot, invitation: "builder://join/…" } };
  const found = isId ? imageId : `(the newest image named ${imageId})`;
  const template = templateInput(config, { meshId, imageId: found, request: secretless });
  const script = Buffer.from(template.LaunchTemplateData?.UserData ?? "", "base64").toString();
  const shown = { ...template.LaunchTemplateData, UserData: script };
  const look = { Owners: ["self"], Filters: [{ Name: "name", Values: [imageId] }] };
  return [
    ...(isId ? [] : [{ call: "ec2:DescribeImages", input: look }]),
    { call: "ec2:CreateLaunchTemplate", input: { ...template, LaunchTemplateData: shown } },
    { call: "ec2:CreateFleet", input: fleetInput(config, request) },
    {
      call: "ec2:DeleteLaunchTemplate",
      input: { LaunchTemplateName: templateName(request) },
    },
  ];
}

function machineOf(instance: Instance): ProvidedMachine | undefined {
  const { InstanceId: id, InstanceType: type = "", Placement, LaunchTime } = instance;
  if (id === undefined) return undefined;
  const token = instance.Tags?.find(({ Key }) => Key === ec2Tags.token)?.Value ?? "";
  return {
    id,
    token,
    state: stateOf(instance.State?.Name ?? ""),
    market: instance.InstanceLifecycle === "spot" ? "spot" : "on-demand",
    launchedAtMs: LaunchTime?.getTime() ?? 0,
    what: [type, Placement?.AvailabilityZone].filter(Boolean).join(" "),
  };
}

/** A stopped machine still costs its disk: it counts as one that runs and is nobody's. */
function stateOf(name: string): ProvidedMachine["state"] {
  if (name === "pending") return "starting";
  if (name === "shutting-down") return "ending";
  return name === "terminated" ? "ended" : "running";
}

/** Of several machines of a token, which must not be, the one that lives. */
function livingFirst(a: ProvidedMachine, b: ProvidedMachine): number {
  const rank = { running: 0, starting: 1, ending: 2, ended: 3 };
  return rank[a.state] - rank[b.state] || (a.id < b.id ? -1 : 1);
}

function isImageId(text: string): boolean {
  return /^ami-[0-9a-f]{8,17}$/.test(text);
}

function toFault({ ErrorCode, ErrorMessage }: CreateFleetError) {
  return { code: ErrorCode ?? "Unknown", message: ErrorMessage ?? "" };
}

function isUnknownInstance(error: unknown): boolean {
  return /^InvalidInstanceID\.(NotFound|Malformed)$/.test(faultOf(error).code);
}

/** The launch was begun before: its template stands, and holds what the machine is told. */
function existsAlready(error: unknown): boolean {
  const { code } = faultOf(error);
  return /^InvalidLaunchTemplateName\.AlreadyExists/.test(code);
}

function ignoring(expected: (error: unknown) => boolean): (error: unknown) => void {
  return (error) => {
    if (!expected(error)) throw error;
  };
}
