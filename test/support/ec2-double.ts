// EC2 as far as providers of machines use it: the Query protocol over HTTP for AWS's own client,
// machines that are real programs where a test gives one, and the faults of a cloud on order.
// What is late here is late by so many calls, never by time.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { type Xml, xmlOf } from "./ec2-xml.ts";

/** What goes wrong with the next call of an action. */
export type Ec2DoubleFault =
  | {
      readonly kind: "error";
      readonly code: string;
      readonly message?: string;
      readonly status?: number;
    }
  /** The call succeeds, with errors in its answer: a fleet that finds no room. */
  | { readonly kind: "fleet"; readonly code: string; readonly message?: string }
  /** A fleet of one that starts two. */
  | { readonly kind: "twins" }
  /** The call does its work and its answer is lost. */
  | { readonly kind: "lost" }
  /** No answer, ever. */
  | { readonly kind: "hang" }
  /** The answer waits until `release` is called. */
  | { readonly kind: "late"; readonly until: Promise<void> };

/** A machine of the double. */
export interface DoubledInstance {
  readonly id: string;
  readonly type: string;
  readonly spot: boolean;
  readonly imageId: string;
  readonly tags: Readonly<Record<string, string>>;
  /** As given, decoded. */
  readonly userData: string;
  readonly launchedAt: string;
  state: "pending" | "running" | "shutting-down" | "terminated";
  /** Looks for which it is not listed yet. */
  hiddenLooks: number;
  process: ChildProcess | undefined;
}

/** How a double behaves. */
export interface Ec2DoubleOptions {
  /** Looks (DescribeInstances) at which a new machine is unknown. */
  readonly hiddenLooks?: number;
  /** Machines of one page at most, whatever the client asks for. */
  readonly pageMax?: number;
  /** Types and images that exist. */
  readonly types?: readonly string[];
  readonly images?: Readonly<Record<string, string>>;
  /** Program and arguments of a machine, given its script; none: a machine that never joins. */
  readonly boot?: (userData: string, instance: DoubledInstance) => ChildProcess;
}

/** A running double. */
export interface Ec2Double {
  readonly url: string;
  readonly requests: readonly { readonly action: string; readonly fields: Fields }[];
  readonly instances: readonly DoubledInstance[];
  /** Names of the launch templates that exist. */
  readonly templates: ReadonlyMap<string, { readonly createdAt: string }>;
  /** Faults of the next calls of an action, in order. */
  fault(action: string, ...faults: readonly Ec2DoubleFault[]): void;
  /** Takes a machine away without a word. */
  kill(id: string): void;
  /** Back-dates a template, as a crash long ago leaves one. */
  age(template: string, byMs: number): void;
  close(): Promise<void>;
}

type Fields = Readonly<Record<string, string>>;
interface Template {
  createdAt: string;
  readonly fields: Fields;
}
interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly status: number;
}

/** The only credentials that it takes. */
export const ec2DoubleKey = "AKIADOUBLE";

/** Starts one. */
export async function startEc2Double(options: Ec2DoubleOptions = {}): Promise<Ec2Double> {
  const requests: { action: string; fields: Fields }[] = [];
  const instances: DoubledInstance[] = [];
  const templates = new Map<string, Template>();
  const answerByToken = new Map<string, { readonly digest: string; readonly answer: Xml }>();
  const faultsByAction = new Map<string, Ec2DoubleFault[]>();
  const types = options.types ?? ["c5.large", "c5.2xlarge", "m5.large"];
  const images = options.images ?? { "ami-0123456789abcdef0": "builder-worker" };
  let made = 0;

  function refuse(code: string, message: string, status = 400): never {
    throw { code, message, status } satisfies Refusal;
  }

  /** The same token gives the same answer; with other words it is refused. */
  function idempotently(fields: Fields, work: () => Xml): Xml {
    const token = fields["ClientToken"];
    if (token === undefined) return work();
    const key = `${fields["Action"]} ${token}`;
    const digest = createHash("sha256").update(JSON.stringify(fields)).digest("hex");
    const known = answerByToken.get(key);
    if (known === undefined) {
      const answer = work();
      answerByToken.set(key, { digest, answer });
      return answer;
    }
    if (known.digest === digest) return known.answer;
    return refuse("IdempotentParameterMismatch", "The token was used with other parameters.");
  }

  function createTemplate(fields: Fields): Xml {
    const name = fields["LaunchTemplateName"] ?? "";
    if (templates.has(name)) {
      refuse("InvalidLaunchTemplateName.AlreadyExistsException", `${name} exists already.`);
    }
    const image = fields["LaunchTemplateData.ImageId"] ?? "";
    if (images[image] === undefined) refuse("InvalidAMIID.NotFound", `no image ${image}`);
    const createdAt = new Date().toISOString();
    templates.set(name, { createdAt, fields });
    return { launchTemplate: templateXml(name, createdAt) };
  }

  function createFleet(fields: Fields): Xml {
    const prefix = "LaunchTemplateConfigs.1.";
    const name = fields[`${prefix}LaunchTemplateSpecification.LaunchTemplateName`] ?? "";
    const template = templates.get(name);
    if (template === undefined) {
      return refuse("InvalidLaunchTemplateName.NotFoundException", `no template ${name}`);
    }
    const spot = fields["TargetCapacitySpecification.DefaultTargetCapacityType"] === "spot";
    const wanted = valuesOf(fields, /^LaunchTemplateConfigs\.1\.Overrides\.\d+\.InstanceType$/);
    const unknown = wanted.find((type) => !types.includes(type));
    if (unknown !== undefined) {
      refuse("InvalidFleetConfiguration", `The instance type ${unknown} does not exist.`);
    }
    const fault = takeFault(fields["Action"] ?? "", ["fleet", "twins"]);
    const fleet = { fleetId: `fleet-${made}` };
    if (fault?.kind === "fleet") {
      const [errorCode, errorMessage] = [fault.code, fault.message ?? "no"];
      const errors = wanted.map((instanceType) => ({
        launchTemplateAndOverrides: { overrides: { instanceType } },
        ...{ lifecycle: spot ? "spot" : "on-demand", errorCode, errorMessage },
      }));
      return { ...fleet, errorSet: errors, fleetInstanceSet: [] };
    }
    const started = (fault?.kind === "twins" ? wanted.slice(0, 2) : wanted.slice(0, 1)).map(
      (type) => startInstance(template.fields, type, spot),
    );
    const fleetInstanceSet = started.map(({ id, type: instanceType }) => {
      return { lifecycle: spot ? "spot" : "on-demand", instanceType, instanceIds: [id] };
    });
    return { ...fleet, errorSet: [], fleetInstanceSet };
  }

  function startInstance(template: Fields, type: string, spot: boolean): DoubledInstance {
    made += 1;
    const data = template["LaunchTemplateData.UserData"] ?? "";
    const instance: DoubledInstance = {
      id: `i-${made.toString(16).padStart(17, "0")}`,
      ...{ type, spot, state: "pending", process: undefined },
      imageId: template["LaunchTemplateData.ImageId"] ?? "",
      tags: tagsIn(template, "LaunchTemplateData.TagSpecification.1."),
      userData: Buffer.from(data, "base64").toString(),
      launchedAt: new Date().toISOString(),
      hiddenLooks: options.hiddenLooks ?? 0,
    };
    instances.push(instance);
    instance.process = options.boot?.(instance.userData, instance);
    // A machine whose script powers it off is gone.
    instance.process?.once("exit", () => {
      instance.state = "terminated";
    });
    return instance;
  }

  function describe(fields: Fields): Xml {
    const filters = filtersIn(fields);
    for (const one of instances) one.hiddenLooks -= 1;
    const found = instances.filter(
      (one) => one.hiddenLooks < 0 && filters.every((filter) => filter(one.tags)),
    );
    const asked = Number(fields["MaxResults"] ?? 1000);
    const size = Math.min(asked, options.pageMax ?? 1000);
    const from = Number(fields["NextToken"] ?? 0);
    const page = found.slice(from, from + size);
    const more = from + size < found.length ? { nextToken: String(from + size) } : {};
    const answer = {
      reservationSet: page.map((one) => ({ instancesSet: [instanceXml(one)] })),
      ...more,
    };
    for (const one of page) {
      if (one.state === "pending") one.state = "running";
      else if (one.state === "shutting-down") one.state = "terminated";
    }
    return answer;
  }

  function terminate(fields: Fields): Xml {
    const ids = valuesOf(fields, /^InstanceId\.\d+$/);
    const unknown = ids.filter((id) => !instances.some((one) => one.id === id));
    if (unknown.length > 0) {
      refuse("InvalidInstanceID.NotFound", `The instance IDs '${unknown}' do not exist`);
    }
    for (const one of instances.filter(({ id }) => ids.includes(id))) end(one, "shutting-down");
    return { instancesSet: ids.map((instanceId) => ({ instanceId })) };
  }

  function end(one: DoubledInstance, state: "shutting-down" | "terminated"): void {
    if (one.state !== "terminated") one.state = state;
    if (one.process?.pid !== undefined) spawn("kill", ["-9", "--", `-${one.process.pid}`]);
  }

  function perform(action: string, fields: Fields): Xml {
    switch (action) {
      case "CreateLaunchTemplate":
        return idempotently(fields, () => createTemplate(fields));
      case "CreateFleet":
        return idempotently(fields, () => createFleet(fields));
      case "DescribeInstances":
        return describe(fields);
      case "TerminateInstances":
        return terminate(fields);
      case "DeleteLaunchTemplate": {
        const name = fields["LaunchTemplateName"] ?? fields["LaunchTemplateId"]?.slice(3) ?? "";
        if (!templates.delete(name)) refuse("InvalidLaunchTemplateName.NotFoundException", name);
        return {};
      }
      case "DescribeLaunchTemplates": {
        const all = [...templates].map(([name, { createdAt }]) => templateXml(name, createdAt));
        return { launchTemplates: all };
      }
      case "DescribeImages": {
        const name = fields["Filter.1.Value.1"];
        const found = Object.entries(images).filter(([, called]) => called === name);
        const imagesSet = found.map(([imageId]) => ({ imageId, imageState: "available" }));
        return { imagesSet };
      }
    }
    return refuse("InvalidAction", `The double does not know ${action}.`);
  }

  /** The next fault of an action, if it is of these kinds. */
  function takeFault(action: string, kinds: readonly Ec2DoubleFault["kind"][]) {
    const waiting = faultsByAction.get(action) ?? [];
    return waiting[0] !== undefined && kinds.includes(waiting[0].kind)
      ? waiting.shift()
      : undefined;
  }

  async function answer(request: http.IncomingMessage, response: http.ServerResponse) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const fields = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
    const action = fields["Action"] ?? "";
    requests.push({ action, fields });
    const fault = takeFault(action, ["error", "lost", "hang", "late"]);
    if (fault?.kind === "hang") return;
    if (fault?.kind === "late") await fault.until;
    try {
      const key = /Credential=([^/]+)/.exec(request.headers.authorization ?? "")?.[1];
      if (key !== ec2DoubleKey) refuse("AuthFailure", "AWS was not able to validate.", 401);
      if (fault?.kind === "error") refuse(fault.code, fault.message ?? "no", fault.status);
      const body = xmlOf(`${action}Response`, perform(action, fields));
      if (fault?.kind === "lost") request.socket.destroy();
      else response.writeHead(200, { "content-type": "text/xml" }).end(body);
    } catch (error) {
      const { code, message, status } = error as Refusal;
      if (code === undefined) throw error;
      const errors = { Errors: { Error: { Code: code, Message: message } }, RequestID: "r-1" };
      response.writeHead(status, { "content-type": "text/xml" }).end(xmlOf("Response", errors));
    }
  }

  const server = http.createServer((request, response) => void answer(request, response));
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ requests, instances, templates },
    fault: (action, ...faults) => {
      faultsByAction.set(action, [...(faultsByAction.get(action) ?? []), ...faults]);
    },
    kill: (id) => {
      for (const one of instances) if (one.id === id) end(one, "terminated");
    },
    age: (name, byMs) => {
      const template = templates.get(name);
      if (template) template.createdAt = new Date(Date.now() - byMs).toISOString();
    },
    close: async () => {
      for (const one of instances) end(one, "terminated");
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function templateXml(launchTemplateName: string, createTime: string): Xml {
  return { launchTemplateId: `lt-${launchTemplateName}`, launchTemplateName, createTime };
}

function instanceXml(one: DoubledInstance): Xml {
  return {
    instanceId: one.id,
    imageId: one.imageId,
    instanceType: one.type,
    instanceState: { name: one.state },
    launchTime: one.launchedAt,
    placement: { availabilityZone: "us-east-1a" },
    tagSet: Object.entries(one.tags).map(([key, value]) => ({ key, value })),
    ...(one.spot ? { instanceLifecycle: "spot" } : {}),
  };
}

function tagsIn(fields: Fields, prefix: string): Record<string, string> {
  const tags: Record<string, string> = {};
  for (let at = 1; fields[`${prefix}Tag.${at}.Key`] !== undefined; at += 1) {
    tags[fields[`${prefix}Tag.${at}.Key`] ?? ""] = fields[`${prefix}Tag.${at}.Value`] ?? "";
  }
  return tags;
}

function filtersIn(fields: Fields): ((tags: Fields) => boolean)[] {
  const filters: ((tags: Fields) => boolean)[] = [];
  for (let at = 1; fields[`Filter.${at}.Name`] !== undefined; at += 1) {
    const tag = (fields[`Filter.${at}.Name`] ?? "").replace(/^tag:/, "");
    const value = fields[`Filter.${at}.Value.1`];
    filters.push((tags) => tags[tag] !== undefined && (value === "*" || tags[tag] === value));
  }
  return filters;
}

function valuesOf(fields: Fields, name: RegExp): string[] {
  return Object.entries(fields).flatMap(([key, value]) => (name.test(key) ? [value] : []));
}
