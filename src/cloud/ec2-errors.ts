// What EC2 says is wrong, as an error with the flag that can change it.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html

import { type Code, MeshError } from "../core/error.ts";
import type { Ec2Config } from "./provider-config.ts";

/** An error as EC2 names it: thrown by the client, or listed in a fleet that started nothing. */
export interface Ec2Fault {
  readonly code: string;
  readonly message: string;
}

interface Rule {
  readonly when: RegExp;
  readonly code: Code;
  /** What to do, the end of a sentence. */
  readonly remedy: (config: Ec2Config) => string;
}

const types = ({ instanceTypes }: Ec2Config) => instanceTypes.join(", ");

/** The first rule that fits counts. */
const rules: readonly Rule[] = [
  {
    when: starting("SpotMaxPriceTooLow"),
    code: "RESOURCE_EXHAUSTED",
    remedy: ({ spotMaxPrice }) =>
      `Spot machines cost more than --spot-max-price ${spotMaxPrice ?? "(on demand)"} now. ` +
      "Raise it, or name further types with --instance-type.",
  },
  {
    when: starting(
      ...["InsufficientInstance", "InsufficientHost", "InsufficientCapacity"],
      ...["InsufficientReserved", "UnfulfillableCapacity", "CapacityNotAvailable"],
    ),
    code: "RESOURCE_EXHAUSTED",
    remedy: (config) =>
      `EC2 has no ${types(config)} to give in ${config.region} now. ` +
      "Name further types with --instance-type, or further zones with --subnet.",
  },
  {
    when: starting("InsufficientFreeAddressesInSubnet"),
    code: "RESOURCE_EXHAUSTED",
    remedy: () => "The subnet has no free addresses. Name another one with --subnet.",
  },
  {
    when: /(LimitExceeded|QuotaExceeded|CountExceeded)$/,
    code: "RESOURCE_EXHAUSTED",
    remedy: ({ region }) =>
      `The account's quota in ${region} is used up. Have it raised, or lower --workers-max.`,
  },
  {
    when: starting(
      ...[
        "UnauthorizedOperation",
        "AccessDenied",
        "OptInRequired",
        "PendingVerification",
        "Blocked",
      ],
    ),
    code: "PERMISSION_DENIED",
    remedy: ({ region }) =>
      `The credentials may not do this in ${region}. docs/features/cloud.md lists the rights.`,
  },
  {
    when: starting(
      ...["AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidAccessKeyId"],
      ...["ExpiredToken", "RequestExpired", "UnrecognizedClient", "MissingAuthentication"],
      ...["CredentialsProviderError", "TokenProviderError"],
    ),
    code: "PERMISSION_DENIED",
    remedy: () =>
      "AWS does not take the credentials. Set AWS_PROFILE or AWS_ACCESS_KEY_ID and " +
      "AWS_SECRET_ACCESS_KEY where the coordinator runs, or give that machine a role.",
  },
  {
    when: starting("InvalidAMIID"),
    code: "NOT_FOUND",
    remedy: ({ imageId, region }) =>
      `There is no image ${imageId} in ${region} for this account. Correct --image-id or --region.`,
  },
  {
    when: starting(
      ...["InvalidSubnet", "MissingInput", "VPCIdNotSpecified", "NoDefaultVpc", "DefaultVpc"],
    ),
    code: "NOT_FOUND",
    remedy: ({ region }) => `Name a subnet that exists in ${region} with --subnet.`,
  },
  {
    when: starting("InvalidGroup", "InvalidSecurityGroup"),
    code: "NOT_FOUND",
    remedy: () => "Name a firewall of the subnet's network with --security-group.",
  },
  {
    when: starting(
      ...["InvalidInstanceType", "Unsupported", "InvalidFleetConfig", "InstanceTypeNotSupported"],
    ),
    code: "INVALID_ARGUMENT",
    remedy: (config) =>
      `Not every one of ${types(config)} exists in ${config.region} and suits the image. ` +
      "Correct --instance-type, --region or --image-id.",
  },
];

/** Codes by which AWS asks to slow down. */
const slowDown = /^(RequestLimitExceeded|Throttl|TooManyRequests|SlowDown|EC2ThrottledException)/;
/** Its own troubles. */
const away = /^(InternalError|InternalFailure|ServiceUnavailable|Unavailable|ServerInternal)/;
const network = /^(TimeoutError|NetworkingError|EAI_AGAIN|ENOTFOUND|E[A-Z]+)$|timed? ?out|socket/i;

/** Reads anything that a call to EC2 threw. CANCELLED where the caller gave up. */
export function ec2Error(error: unknown, config: Ec2Config, signal?: AbortSignal): MeshError {
  if (error instanceof MeshError) return error;
  if (signal?.aborted === true) {
    return new MeshError("CANCELLED", "The call to EC2 was given up.", { cause: error });
  }
  return mapped(faultOf(error), config, error);
}

/** Reads the reason why a fleet started nothing. */
export function fleetError(faults: readonly Ec2Fault[], config: Ec2Config): MeshError {
  const [first] = faults;
  if (first === undefined) {
    return new MeshError(
      "UNAVAILABLE",
      "EC2 started nothing and did not say why. Try again later.",
    );
  }
  // No room for one type is no news where another one was refused for good.
  const isRoom = ({ code }: Ec2Fault) => ruleFor(code)?.code === "RESOURCE_EXHAUSTED";
  return mapped(faults.find((fault) => !isRoom(fault)) ?? first, config, undefined);
}

/** The name under which AWS knows an error. */
export function faultOf(error: unknown): Ec2Fault {
  if (!(error instanceof Error)) return { code: "Unknown", message: String(error) };
  const errno = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return { code: errno ?? error.name, message: error.message };
}

function mapped({ code, message }: Ec2Fault, config: Ec2Config, cause: unknown): MeshError {
  const said = `EC2 said ${code}: ${message}`.slice(0, 400);
  const error = (as: Code, remedy: string) => new MeshError(as, `${remedy} (${said})`, { cause });
  if (slowDown.test(code)) return error("UNAVAILABLE", "EC2 asks to slow down.");
  const rule = ruleFor(code);
  if (rule !== undefined) return error(rule.code, rule.remedy(config));
  if (away.test(code)) return error("UNAVAILABLE", "EC2 has troubles of its own. Try again later.");
  if (network.test(code) || network.test(message)) {
    const { region } = config;
    return error(
      "UNAVAILABLE",
      `EC2 in ${region} does not answer. Is --region ${region} right, and the network up?`,
    );
  }
  if (/^(Invalid|Missing|Unknown|Malformed)/.test(code)) {
    return error("INVALID_ARGUMENT", "EC2 refused what is configured for it.");
  }
  return error("INTERNAL", "EC2 failed in an unknown way.");
}

function starting(...names: readonly string[]): RegExp {
  return new RegExp(`^(${names.join("|")})`);
}

function ruleFor(code: string): Rule | undefined {
  return rules.find(({ when }) => when.test(code));
}
