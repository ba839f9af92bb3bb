// The metadata service of an EC2 machine, version 2 only, as far as spot notices use it.

import * as http from "node:http";
import type { AddressInfo } from "node:net";

/** A running double. */
export interface ImdsDouble {
  readonly url: string;
  /** Requests so far. */
  readonly looks: () => number;
  /** What `spot/instance-action` answers from now on; undefined: nothing is announced. */
  announce(body: string | undefined): void;
  /** Tokens given out so far are of no use any more. */
  expireTokens(): void;
  /** Status of every answer from now on; undefined: as it should be. */
  fail(status: number | undefined): void;
  close(): Promise<void>;
}

/** Starts one. */
export async function startImdsDouble(): Promise<ImdsDouble> {
  const tokens = new Set<string>();
  let notice: string | undefined;
  let failure: number | undefined;
  let looks = 0;
  const server = http.createServer((request, response) => {
    const headers = request.headers;
    looks += 1;
    if (failure !== undefined) return response.writeHead(failure).end();
    if (request.method === "PUT" && request.url === "/latest/api/token") {
      if (!headers["x-aws-ec2-metadata-token-ttl-seconds"]) return response.writeHead(400).end();
      const token = `token-${tokens.size}-${looks}`;
      tokens.add(token);
      return response.end(token);
    }
    const token = headers["x-aws-ec2-metadata-token"];
    if (!tokens.has(String(token))) return response.writeHead(401).end();
    if (request.url !== "/latest/meta-data/spot/instance-action" || notice === undefined) {
      return response.writeHead(404).end("<html>not found</html>");
    }
    return response.end(notice);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    looks: () => looks,
    announce: (body) => {
      notice = body;
    },
    expireTokens: () => tokens.clear(),
    fail: (status) => {
      failure = status;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
