// gRPC's own services: health, for load balancers and start scripts, and reflection, for tools
// such as grpcurl that come without our proto files.

import { readFileSync } from "node:fs";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";

/** Made by tools/generate-proto.ts: a FileDescriptorSet of proto/ and what it imports. */
// Two folders up is the root from source and from the bundle (dist/js) alike.
const descriptors = new URL("../../src/wire/gen/descriptors.binpb", import.meta.url);

/** Health of one server, which changes when the node drains. */
export interface Health {
  /** From here on every service is NOT_SERVING. */
  stopServing(): void;
}

/** Adds both to a server that has all its other `services` (full names). */
export function addIntrospection(server: Server, services: readonly string[]): Health {
  const names = ["", ...services];
  const health = new HealthImplementation(
    Object.fromEntries(names.map((name) => [name, "SERVING" as const])),
  );
  health.addToServer(server);
  // The library reads nothing but the files of a definition, whatever it defines.
  const files = {
    format: "Protocol Buffer 3 EnumDescriptorProto" as const,
    type: {},
    fileDescriptorProtos: readFiles(readFileSync(descriptors)),
  };
  new ReflectionService({ files }, { services: [...services] }).addToServer(server);
  return {
    stopServing: () => {
      for (const name of names) health.setStatus(name, "NOT_SERVING");
    },
  };
}

/** The FileDescriptorProtos of a FileDescriptorSet, still encoded: field 1, repeated. */
function readFiles(set: Uint8Array): Buffer[] {
  const reader = new BinaryReader(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType);
  }
  return files;
}
