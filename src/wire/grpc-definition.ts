// Generated services as the plain definition objects that gRPC servers and clients take, without
// importing any gRPC library.

import { MeshError } from "../core/error.ts";
import { type Encoder, encodeBytes } from "./encode.ts";

/** A generated message type: static encode and decode. */
export interface MessageType<T> extends Encoder<T> {
  decode(bytes: Uint8Array): T;
}

interface GeneratedMethod {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service differ in their messages
  readonly requestType: MessageType<any>;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly responseType: MessageType<any>;
  readonly responseStream: boolean;
}

interface GeneratedService {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, GeneratedMethod>>;
}

/** One method as gRPC libraries describe it. */
export interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (message: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

type MessageOf<M> = M extends MessageType<infer T> ? T : never;

/** The definition of every method of a generated service, keyed as generated. */
export type GrpcDefinition<S extends GeneratedService> = {
  readonly [K in keyof S["methods"]]: MethodDefinition<
    MessageOf<S["methods"][K]["requestType"]>,
    MessageOf<S["methods"][K]["responseType"]>
  >;
};

/** Turns a generated service into a definition that gRPC libraries accept. */
export function grpcDefinition<S extends GeneratedService>(service: S): GrpcDefinition<S> {
  const methods = Object.entries(service.methods).map(([key, method]) => [
    key,
    {
      path: `/${service.fullName}/${method.name}`,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      ...codec("request", method.requestType, method.name),
      ...codec("response", method.responseType, method.name),
    },
  ]);
  return Object.fromEntries(methods);
}

function codec<T>(side: "request" | "response", type: MessageType<T>, method: string) {
  return {
    [`${side}Serialize`]: (message: T) => asBuffer(encodeBytes(type, message)),
    [`${side}Deserialize`]: (bytes: Buffer) => {
      try {
        return type.decode(bytes);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new MeshError("INVALID_ARGUMENT", `The ${side} of ${method} is malformed: ${why}.`, {
          cause,
        });
      }
    },
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
