// What a cloud provider is told, checked once. The same plain values come from flags, from the file
// in which a node keeps them and over the network; each problem names the flag to change.

import { MeshError } from "../core/error.ts";
import type { LaunchRequest } from "./provider.ts";

/** Machines of Amazon EC2. */
export interface Ec2Config {
  readonly provider: "aws";
  /** Such as `us-east-1`. */
  readonly region: string;
  /** Types that may be used, such as `c5.2xlarge`; EC2 takes which is there, and for spot, cheap. */
  readonly instanceTypes: readonly string[];
  /** An image's id, `ami-…`, or the name of an image of this account: the newest counts. */
  readonly imageId: string;
  /** Where machines may be; none: the default subnets of the region. */
  readonly subnets: readonly string[];
  /** Their firewall; none: the network's default. */
  readonly securityGroups: readonly string[];
  /** Dollars per hour that a spot machine may cost; undefined: at most the price on demand. */
  readonly spotMaxPrice: number | undefined;
  /** Lines for `sh` that a new machine runs before it joins, such as to install Builder; or "". */
  readonly setup: string;
}

/** Pods of a Kubernetes cluster. */
export interface KubernetesConfig {
  readonly provider: "k8s";
  readonly namespace: string;
  /** A Pod as YAML or JSON; kubernetes-pod.ts says what is added. */
  readonly podTemplate: string;
}

/** What `createProvider` can make a provider of. */
export type CloudConfig = Ec2Config | KubernetesConfig;

/** What a provider is made of besides its configuration. */
export interface CloudDeps {
  /** Whose machines these are: letters and digits, at most 60. */
  readonly meshId: string;
  /** This node, for people and for the Lease of Kubernetes. */
  readonly self: string;
  /** Unix ms. */
  readonly now: () => number;
}

/** A setting, as its flag is called and as it is stored; `isList` ones may be said several times. */
export interface CloudSetting {
  readonly key: string;
  readonly flag: string;
  readonly of: CloudConfig["provider"];
  readonly kind: "text" | "list" | "number" | "file";
  readonly meaning: string;
}

/** Every setting of cloud providers besides `--provider`, in the order of `--help`. */
export const cloudSettings: readonly CloudSetting[] = [
  setting("region", "--region", "aws", "text", "EC2 region, such as us-east-1"),
  setting("instanceTypes", "--instance-type", "aws", "list", "EC2 types that may be used"),
  setting("imageId", "--image-id", "aws", "text", "EC2 image with Builder: its id or its name"),
  setting("subnets", "--subnet", "aws", "list", "subnets for machines (the default ones)"),
  setting("securityGroups", "--security-group", "aws", "list", "their firewall (the default one)"),
  setting("spotMaxPrice", "--spot-max-price", "aws", "number", "dollars an hour of a spot machine"),
  setting("setup", "--setup", "aws", "file", "shell script a new machine runs before it joins"),
  setting("namespace", "--namespace", "k8s", "text", "Kubernetes namespace for workers"),
  setting("podTemplate", "--pod-template", "k8s", "file", "Pod (YAML) that workers are made from"),
];

/** Longest file of a setting, in bytes: EC2 takes 16 KiB of user data. */
const fileBytesMax = { setup: 8 << 10, podTemplate: 64 << 10 };
const listMax = 20;

/**
 * Reads `{ provider, … }` with the keys of `cloudSettings`. INVALID_ARGUMENT names the flag of what
 * is missing, wrong or of the other provider.
 */
export function parseCloudConfig(stored: unknown): CloudConfig {
  const settings = recordOf(stored);
  const { provider } = settings;
  if (provider !== "aws" && provider !== "k8s") {
    throw wrong("--provider wants aws or k8s; local workers need no provider.");
  }
  for (const key of Object.keys(settings)) {
    const known = cloudSettings.find((one) => one.key === key);
    if (key === "provider" || settings[key] === undefined) continue;
    if (known === undefined) throw wrong(`"${key.slice(0, 40)}" is no setting of a provider.`);
    if (known.of !== provider) {
      throw wrong(`${known.flag} is for --provider ${known.of}, not ${provider}. Leave it out.`);
    }
  }
  return provider === "aws" ? parseEc2(settings) : parseKubernetes(settings);
}

/** INVALID_ARGUMENT where a launch is not named as a cloud can take it. */
export function checkLaunch({ token }: LaunchRequest): void {
  // Labels of Kubernetes begin and end with letters or digits.
  if (/^[A-Za-z0-9]([A-Za-z0-9-]{0,58}[A-Za-z0-9])?$/.test(token)) return;
  throw wrong("A launch is named by letters, digits and - between them, 60 at most.");
}

function parseEc2(settings: Settings): Ec2Config {
  const image = /^[\w().\-/'@[\] ]{3,128}$/;
  const types = listOf(settings, "instanceTypes", /^[a-z0-9-]{2,20}\.[a-z0-9-]{2,20}$/, "c5.large");
  if (types.length === 0) throw wrong("--instance-type is missing: name one, such as c5.2xlarge.");
  return {
    provider: "aws",
    region: textOf(settings, "region", /^[a-z]{2}(-[a-z]+)+-\d{1,2}$/, "us-east-1"),
    instanceTypes: types,
    imageId: textOf(settings, "imageId", image, "ami-0123456789abcdef0"),
    subnets: listOf(settings, "subnets", /^subnet-[0-9a-f]{8,17}$/, "subnet-0123456789abcdef0"),
    securityGroups: listOf(
      settings,
      "securityGroups",
      /^sg-[0-9a-f]{8,17}$/,
      "sg-0123456789abcdef0",
    ),
    spotMaxPrice: priceOf(settings),
    setup: fileOf(settings, "setup"),
  };
}

function parseKubernetes(settings: Settings): KubernetesConfig {
  const podTemplate = fileOf(settings, "podTemplate");
  if (podTemplate.trim() === "") {
    throw wrong(
      "--pod-template is missing: name a file, such as deploy/kubernetes/worker-pod.yaml.",
    );
  }
  const name = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
  return {
    provider: "k8s",
    namespace: textOf(settings, "namespace", name, "builder"),
    podTemplate,
  };
}

type Settings = Readonly<Record<string, unknown>>;
type Key = keyof Omit<Ec2Config, "provider"> | keyof Omit<KubernetesConfig, "provider">;

function setting(
  key: Key,
  flag: string,
  of: CloudSetting["of"],
  kind: CloudSetting["kind"],
  meaning: string,
): CloudSetting {
  return { key, flag, of, kind, meaning };
}

function recordOf(stored: unknown): Settings {
  if (typeof stored === "object" && stored !== null && !Array.isArray(stored)) return { ...stored };
  throw wrong("The settings of a provider are not a list of names and values.");
}

function textOf(settings: Settings, key: Key, shape: RegExp, example: string): string {
  const value = settings[key];
  if (value === undefined)
    throw wrong(`${flagOf(key)} is missing: it wants one such as ${example}.`);
  if (typeof value === "string" && shape.test(value)) return value;
  throw wrong(`${flagOf(key)} ${shown(value)} cannot be: it wants one such as ${example}.`);
}

function listOf(settings: Settings, key: Key, shape: RegExp, example: string): readonly string[] {
  const value = settings[key] ?? [];
  const isList = Array.isArray(value) && value.length <= listMax;
  if (!isList) throw wrong(`${flagOf(key)} may be said at most ${listMax} times.`);
  for (const item of value) textOf({ [key]: item }, key, shape, example);
  return [...new Set<string>(value)];
}

function priceOf({ spotMaxPrice: value }: Settings): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && value > 0 && value <= 1000) return value;
  throw wrong(`--spot-max-price ${shown(value)} cannot be: dollars an hour, such as 0.10.`);
}

function fileOf(settings: Settings, key: keyof typeof fileBytesMax): string {
  const value = settings[key] ?? "";
  const most = fileBytesMax[key];
  if (typeof value !== "string") throw wrong(`${flagOf(key)} wants a text file.`);
  if (Buffer.byteLength(value) <= most) return value;
  throw wrong(`The file of ${flagOf(key)} is over ${most >> 10} KiB. Make it shorter.`);
}

function flagOf(key: Key): string {
  return cloudSettings.find((one) => one.key === key)?.flag ?? key;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 60);
}

function wrong(message: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", message);
}
