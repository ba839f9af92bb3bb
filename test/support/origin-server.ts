// An HTTP server that behaves as a test wants, on loopback.

import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";

/** A running server. */
export interface OriginServer {
  /** Without a slash at the end. */
  readonly url: string;
  /** What it was asked for, in order. */
  readonly requests: http.IncomingMessage[];
  /** Answers from here on; by path without query. */
  answer(path: string, how: http.RequestListener | string | Buffer): void;
  close(): void;
}

/** Starts one; with `tls` it speaks HTTPS. Paths without an answer are 404. */
export async function startOrigin(tls?: https.ServerOptions): Promise<OriginServer> {
  const answers = new Map<string, http.RequestListener>();
  const requests: http.IncomingMessage[] = [];
  const listen: http.RequestListener = (request, response) => {
    requests.push(request);
    const [path = ""] = (request.url ?? "").split("?");
    const answer = answers.get(path);
    if (answer !== undefined) answer(request, response);
    else response.writeHead(404).end("no");
  };
  const server = tls === undefined ? http.createServer(listen) : https.createServer(tls, listen);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    requests,
    answer: (path, how) => {
      const text: http.RequestListener = (_, response) => response.end(how);
      answers.set(path, typeof how === "function" ? how : text);
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
