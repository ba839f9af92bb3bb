// What is asked of EC2 to start a machine, as plain values: the calls and their dry run are made of
// the same ones.
//
// A fleet of type `instant` is the only call that chooses among types by price and capacity at
// once, and it takes its user data from a launch template. As each machine has an invitation of its
// own, so each launch has a template, deleted again once the machine exists (ADR 0026).
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html

import type {
  CreateFleetCommandInput,
  CreateLaunchTemplateCommandInput,
  Filter,
  Tag,
} from "@aws-sdk/client-ec2";
import { bootScript } from "./boot-script.ts";
import type { LaunchRequest } from "./provider.ts";
import type { Ec2Config } from "./provider-config.ts";

/** Tags that say whose a machine is. IAM policies can be bound to the first. */
export const ec2Tags = { mesh: "builder-mesh", token: "builder-token" } as const;

/** The tags of everything that is made for one launch. */
export function tagsOf(meshId: string, { token, boot }: LaunchRequest): Tag[] {
  return [
    { Key: ec2Tags.mesh, Value: meshId },
    { Key: ec2Tags.token, Value: token },
    { Key: "Name", Value: boot.name },
  ];
}

/** Selects what carries one of these tags. */
export function withTag(tag: keyof typeof ec2Tags, value: string): Filter {
  return { Name: `tag:${ec2Tags[tag]}`, Values: [value] };
}

/** The template's name, the same whenever the same launch is asked for. */
export function templateName({ token }: LaunchRequest): string {
  return `builder-${token}`;
}

/**
 * The template of one machine, which powers off when it is done, and is gone then. Its name is what
 * keeps it from being made twice; a client token would also keep it from being made again.
 */
export function templateInput(
  config: Ec2Config,
  launch: { readonly meshId: string; readonly imageId: string; readonly request: LaunchRequest },
): CreateLaunchTemplateCommandInput {
  const { request, imageId, meshId } = launch;
  const tags = tagsOf(meshId, request);
  const { securityGroups } = config;
  return {
    LaunchTemplateName: templateName(request),
    TagSpecifications: [{ ResourceType: "launch-template", Tags: tags }],
    LaunchTemplateData: {
      ImageId: imageId,
      UserData: Buffer.from(bootScript(request.boot, config.setup)).toString("base64"),
      InstanceInitiatedShutdownBehavior: "terminate",
      MetadataOptions: { HttpTokens: "required", HttpEndpoint: "enabled" },
      ...(securityGroups.length > 0 ? { SecurityGroupIds: [...securityGroups] } : {}),
      TagSpecifications: [
        { ResourceType: "instance", Tags: tags },
        { ResourceType: "volume", Tags: tags },
      ],
    },
  };
}

/** The fleet of one machine: any of the types, in any of the subnets. */
export function fleetInput(config: Ec2Config, request: LaunchRequest): CreateFleetCommandInput {
  const { instanceTypes, spotMaxPrice } = config;
  const isSpot = request.market === "spot";
  const price = isSpot && spotMaxPrice !== undefined ? { MaxPrice: String(spotMaxPrice) } : {};
  const subnets = config.subnets.length > 0 ? config.subnets : [undefined];
  const overrides = instanceTypes.flatMap((type) =>
    subnets.map((subnet) => ({
      // A type is text to EC2: newer ones than the client knows are as good.
      InstanceType: type as NonNullable<NonNullable<Overrides>[number]["InstanceType"]>,
      ...(subnet === undefined ? {} : { SubnetId: subnet }),
      ...price,
    })),
  );
  const template = { LaunchTemplateName: templateName(request), Version: "1" };
  return {
    Type: "instant",
    ClientToken: request.token,
    LaunchTemplateConfigs: [{ LaunchTemplateSpecification: template, Overrides: overrides }],
    TargetCapacitySpecification: {
      TotalTargetCapacity: 1,
      DefaultTargetCapacityType: request.market,
    },
    ...(isSpot
      ? { SpotOptions: { AllocationStrategy: "price-capacity-optimized" } }
      : { OnDemandOptions: { AllocationStrategy: "lowest-price" } }),
  };
}

type Configs = NonNullable<CreateFleetCommandInput["LaunchTemplateConfigs"]>;
type Overrides = Configs[number]["Overrides"];
