// ByteStream, with an encoder of its own for the message that brings a blob's bytes: the generated
// one doubles its buffer until all fits and then copies it out, five times the bytes a message has.

import {
  ByteStreamDefinition as generated,
  type ReadResponse,
} from "./gen/google/bytestream/bytestream.ts";
import { grpcDefinition } from "./grpc-definition.ts";

const definition = grpcDefinition(generated);

/** The service as gRPC servers take it. */
export const byteStreamDefinition: typeof definition = {
  ...definition,
  read: { ...definition.read, responseSerialize: encodeReadResponse },
};

/** `data` is field 10, of wire type 2. */
const dataTag = (10 << 3) | 2;

/** Encodes a ReadResponse, copying its bytes once. */
export function encodeReadResponse({ data }: ReadResponse): Buffer {
  if (data.length === 0) return Buffer.alloc(0);
  const header = [dataTag];
  for (let rest = data.length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      header.push(rest);
      break;
    }
    header.push((rest % 128) | 128);
  }
  const message = Buffer.allocUnsafe(header.length + data.length);
  message.set(header);
  message.set(data, header.length);
  return message;
}
