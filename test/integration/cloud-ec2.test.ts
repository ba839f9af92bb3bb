// The EC2 provider with AWS's own client, against the double and, where it is installed, against
// moto (PyPI `moto[server,ec2]`), which is somebody else's idea of EC2.

import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEc2Provider, ec2Defaults } from "../../src/cloud/ec2-provider.ts";
import { type CloudConfig, parseCloudConfig } from "../../src/cloud/provider-config.ts";
import { failureOf } from "../../src/core/error.ts";
import { describeProvider, requestOf } from "../conformance/provider.ts";
import {
  type Ec2Double,
  type Ec2DoubleFault,
  type Ec2DoubleOptions,
  ec2DoubleKey,
  startEc2Double,
} from "../support/ec2-double.ts";
import { eventually } from "../support/eventually.ts";

const call = { signal: new AbortController().signal };
const settings = {
  provider: "aws",
  region: "us-east-1",
  instanceTypes: ["c5.large", "m5.large"],
  imageId: "ami-0123456789abcdef0",
};
let double: Ec2Double | undefined;

beforeAll(() => {
  process.env["AWS_ACCESS_KEY_ID"] = ec2DoubleKey;
  process.env["AWS_SECRET_ACCESS_KEY"] = "secret";
  // No machine's role, no file of the user's.
  process.env["AWS_EC2_METADATA_DISABLED"] = "true";
});
afterAll(() => double?.close());

/** A provider whose EC2 is a new double. */
async function provide(
  options: Ec2DoubleOptions = {},
  more: object = {},
  ec2: Partial<typeof ec2Defaults> = {},
) {
  await double?.close();
  double = await startEc2Double(options);
  process.env["AWS_ENDPOINT_URL_EC2"] = double.url;
  return { provider: create({ ...settings, ...more }, ec2), cloud: double };
}

function create(from: object, options: Partial<typeof ec2Defaults> = {}) {
  const config = parseCloudConfig(from);
  if (config.provider !== "aws") throw new Error("not EC2");
  const deps = { meshId: "m1", self: "me", now: Date.now };
  return createEc2Provider(config, deps, { ...ec2Defaults, ...options });
}

async function refusal(work: Promise<unknown>) {
  const failure = await work.then(() => undefined, failureOf);
  return failure ?? { code: "none", message: "it worked" };
}

describeProvider("EC2 (double)", async () => (await provide()).provider);
describeProvider("EC2 (double that lists late)", async () => {
  return (await provide({ hiddenLooks: 3, pageMax: 1 })).provider;
});

describe("EC2", () => {
  test("is asked for spot by price and capacity, for several types, at a highest price", async () => {
    const { provider, cloud } = await provide(
      {},
      { spotMaxPrice: 0.1, subnets: ["subnet-0a1b2c3d"] },
    );
    const machine = await provider.launch(requestOf("spot", { market: "spot" }), call);
    expect(machine.market).toBe("spot");
    const [fleet] = cloud.requests.filter(({ action }) => action === "CreateFleet");
    expect(fleet?.fields).toMatchObject({
      Type: "instant",
      ClientToken: "spot",
      "SpotOptions.AllocationStrategy": "price-capacity-optimized",
      "TargetCapacitySpecification.TotalTargetCapacity": "1",
      "TargetCapacitySpecification.DefaultTargetCapacityType": "spot",
      "LaunchTemplateConfigs.1.Overrides.1.InstanceType": "c5.large",
      "LaunchTemplateConfigs.1.Overrides.2.InstanceType": "m5.large",
      "LaunchTemplateConfigs.1.Overrides.2.MaxPrice": "0.1",
      "LaunchTemplateConfigs.1.Overrides.2.SubnetId": "subnet-0a1b2c3d",
    });
    const [listed] = await provider.list(call);
    expect(listed).toMatchObject({ market: "spot", what: "c5.large us-east-1a" });
  });

  test("gives a machine its tags, its script, and no template that outlives the launch", async () => {
    const { provider, cloud } = await provide({}, { setup: "echo 'it''s \"set up\"'\n" });
    await provider.launch(requestOf("tagged"), call);
    const [machine] = cloud.instances;
    expect(machine?.tags).toEqual({
      "builder-mesh": "m1",
      "builder-token": "tagged",
      Name: "tagged",
    });
    expect(machine?.userData).toContain("builder 'join' 'builder://join/test' '--name' 'tagged'");
    expect(machine?.userData).toMatch(/^#!\/bin\/sh\n/);
    expect(cloud.templates.size).toBe(0);
    const template = cloud.requests.find(({ action }) => action === "CreateLaunchTemplate");
    expect(template?.fields["LaunchTemplateData.MetadataOptions.HttpTokens"]).toBe("required");
    expect(template?.fields["LaunchTemplateData.InstanceInitiatedShutdownBehavior"]).toBe(
      "terminate",
    );
  });

  test("does not begin twice what another process began and lost the answer of", async () => {
    const { provider, cloud } = await provide({ hiddenLooks: 10 }, {}, { tries: 1 });
    cloud.fault("CreateFleet", { kind: "lost" });
    expect((await refusal(provider.launch(requestOf("lost"), call))).code).toBe("UNAVAILABLE");
    expect(cloud.instances.length).toBe(1);
    // The next coordinator knows the token and has an invitation of its own.
    const { boot } = requestOf("lost");
    const again = requestOf("lost", { boot: { ...boot, invitation: "builder://join/other" } });
    const { id } = await create(settings).launch(again, call);
    expect(id).toBe(cloud.instances[0]?.id);
    expect(cloud.instances.length).toBe(1);
    expect(cloud.templates.size).toBe(0);
  });

  test("is left with one machine where a fleet of one started two", async () => {
    const { provider, cloud } = await provide();
    cloud.fault("CreateFleet", { kind: "twins" });
    const { id } = await provider.launch(requestOf("twins"), call);
    expect(cloud.instances.length).toBe(2);
    const living = cloud.instances.filter(({ state }) => state === "pending");
    expect(living.map((machine) => machine.id)).toEqual([id]);
  });

  test("is asked again by the client after throttling, and then says so", async () => {
    const { provider, cloud } = await provide();
    const slow = { kind: "error", code: "RequestLimitExceeded", status: 503 } as const;
    cloud.fault("CreateFleet", slow, slow);
    await provider.launch(requestOf("throttled"), call);
    expect(cloud.instances.length).toBe(1);
    cloud.fault("DescribeInstances", slow, slow, slow, slow);
    const refused = await refusal(provider.list(call));
    expect(refused).toMatchObject({ code: "UNAVAILABLE" });
    expect(refused.message).toContain("slow down");
  });

  const refusals: [action: string, fault: Ec2DoubleFault, code: string, names: string][] = [
    ["CreateFleet", fleet("InsufficientInstanceCapacity"), "RESOURCE_EXHAUSTED", "--instance-type"],
    ["CreateFleet", fleet("MaxSpotInstanceCountExceeded"), "RESOURCE_EXHAUSTED", "quota"],
    ["CreateFleet", fleet("VcpuLimitExceeded"), "RESOURCE_EXHAUSTED", "--workers-max"],
    ["CreateFleet", fleet("SpotMaxPriceTooLow"), "RESOURCE_EXHAUSTED", "--spot-max-price"],
    ["CreateFleet", fleet("InvalidSubnetID.NotFound"), "NOT_FOUND", "--subnet"],
    ["CreateLaunchTemplate", wrong("InvalidAMIID.NotFound"), "NOT_FOUND", "--image-id"],
    ["CreateFleet", wrong("UnauthorizedOperation"), "PERMISSION_DENIED", "docs/features/cloud.md"],
    ["CreateFleet", wrong("InvalidGroup.NotFound"), "NOT_FOUND", "--security-group"],
    ["DescribeInstances", wrong("ExpiredToken"), "PERMISSION_DENIED", "AWS_PROFILE"],
    ["DescribeInstances", wrong("OptInRequired"), "PERMISSION_DENIED", "us-east-1"],
  ];
  test.each(refusals)("says what to change: %s %j is %s", async (action, fault, code, names) => {
    const { provider, cloud } = await provide();
    cloud.fault(action, fault);
    const refused = await refusal(provider.launch(requestOf("refused"), call));
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(names);
    expect(cloud.instances).toEqual([]);
    expect(cloud.templates.size).toBe(0);
  });

  test("takes no type that does not exist, and no credentials that are wrong", async () => {
    const { provider, cloud } = await provide({}, { instanceTypes: ["c99.large"] });
    const type = await refusal(provider.launch(requestOf("type"), call));
    expect(type).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(type.message).toContain("--instance-type");
    expect(cloud.templates.size).toBe(0);
    process.env["AWS_ACCESS_KEY_ID"] = "AKIAWRONG";
    const key = await refusal(create(settings).list(call));
    process.env["AWS_ACCESS_KEY_ID"] = ec2DoubleKey;
    expect(key).toMatchObject({ code: "PERMISSION_DENIED" });
  });

  test("finds the newest image of this account by its name, and misses one by its name", async () => {
    const { provider, cloud } = await provide({}, { imageId: "builder-worker" });
    await provider.launch(requestOf("named"), call);
    expect(cloud.instances[0]?.imageId).toBe("ami-0123456789abcdef0");
    const look = cloud.requests.find(({ action }) => action === "DescribeImages");
    expect(look?.fields["Owner.1"]).toBe("self");
    const missing = create({ ...settings, imageId: "no-such-image" });
    const refused = await refusal(missing.launch(requestOf("missing"), call));
    expect(refused).toMatchObject({ code: "NOT_FOUND" });
    expect(refused.message).toContain("no-such-image");
  });

  test("that hangs is given up by the caller, and by its own deadline", async () => {
    const { provider, cloud } = await provide({}, {}, { answerMsMax: 300, tries: 1 });
    cloud.fault("DescribeInstances", { kind: "hang" }, { kind: "hang" });
    expect((await refusal(provider.list(call))).code).toBe("UNAVAILABLE");
    const giveUp = new AbortController();
    const listing = refusal(create(settings).list({ signal: giveUp.signal }));
    await eventually("the second call hangs", () => cloud.requests.length === 2);
    giveUp.abort();
    expect((await listing).code).toBe("CANCELLED");
  });

  test("that answers late is waited for", async () => {
    const { provider, cloud } = await provide();
    const gate = Promise.withResolvers<void>();
    cloud.fault("CreateFleet", { kind: "late", until: gate.promise });
    const launching = provider.launch(requestOf("late"), call);
    await eventually("it was asked", () =>
      cloud.requests.some(({ action }) => action === "CreateFleet"),
    );
    gate.resolve();
    expect((await launching).id).toBe(cloud.instances[0]?.id);
  });

  test("nowhere to be found is no answer", async () => {
    process.env["AWS_ENDPOINT_URL_EC2"] = "http://127.0.0.1:9";
    const refused = await refusal(create(settings, { tries: 1 }).list(call));
    expect(refused).toMatchObject({ code: "UNAVAILABLE" });
    expect(refused.message).toContain("--region");
  });

  test("is rid of templates that a crash left long ago, and keeps those of launches under way", async () => {
    const { provider, cloud } = await provide({}, {}, { tries: 1 });
    for (const token of ["old", "new"]) {
      cloud.fault("CreateFleet", { kind: "hang" });
      const crash = new AbortController();
      const cut = refusal(create(settings).launch(requestOf(token), { signal: crash.signal }));
      await eventually("its template exists and its fleet hangs", () =>
        cloud.requests.some(({ fields }) => fields["ClientToken"] === token),
      );
      crash.abort();
      expect((await cut).code).toBe("CANCELLED");
    }
    cloud.age("builder-old", 2 * 3_600_000);
    await provider.launch(requestOf("third"), call);
    expect([...cloud.templates.keys()]).toEqual(["builder-new"]);
  });

  test("ends machines whose fellows are gone already", async () => {
    const { provider, cloud } = await provide();
    const { id } = await provider.launch(requestOf("end"), call);
    await provider.terminate(["i-0dead0dead0dead00", id], call);
    expect(cloud.instances[0]?.state).toBe("shutting-down");
  });
});

function fleet(code: string): Ec2DoubleFault {
  return { kind: "fleet", code };
}

function wrong(code: string): Ec2DoubleFault {
  return { kind: "error", code };
}

/** The server of moto, where BUILDER_MOTO_SERVER names the program. */
const moto = process.env["BUILDER_MOTO_SERVER"];

describe.skipIf(moto === undefined)("moto, named by BUILDER_MOTO_SERVER", () => {
  let stop: () => void = () => undefined;
  let image = "";
  let meshes = 0;

  beforeAll(async () => {
    const server = spawn(moto ?? "", ["-p", "0"], { stdio: ["ignore", "ignore", "pipe"] });
    stop = () => server.kill();
    let said = "";
    server.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const url = await eventually("moto listens", () => /http:\/\/127\S+/.exec(said)?.[0], 120_000);
    process.env["AWS_ENDPOINT_URL_EC2"] = url;
    const { EC2Client, DescribeImagesCommand } = await import("@aws-sdk/client-ec2");
    const client = new EC2Client({ region: "us-east-1" });
    const { Images = [] } = await client.send(new DescribeImagesCommand({}));
    image = Images[0]?.ImageId ?? "";
  }, 180_000);
  afterAll(() => stop());

  // Moto takes a client token for a new one each time.
  describeProvider(
    "EC2 (moto)",
    async () => {
      meshes += 1;
      const config: CloudConfig = parseCloudConfig({ ...settings, imageId: image });
      if (config.provider !== "aws") throw new Error("not EC2");
      const deps = { meshId: `moto${meshes}`, self: "me", now: Date.now };
      return createEc2Provider(config, deps);
    },
    { knowsTokens: false },
  );
});
