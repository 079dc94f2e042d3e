// A server that keeps what is uploaded, whole or not at all: Deno.serve and Bun.serve hand over the same Request.
//
//   deno run --allow-net --allow-read --allow-write examples/upload_server.ts DIRECTORY
//   bun examples/upload_server.ts DIRECTORY

import { AtomicFile } from "@crashsafe/fs";
import process from "node:process";

const directory = process.argv[2] ?? ".";

/** PUT /name keeps the body as DIRECTORY/name. */
async function keep(request: Request): Promise<Response> {
  const name = new URL(request.url).pathname.slice(1);
  if (request.method !== "PUT" || !/^[\w-]+$/.test(name)) {
    return new Response("no\n", { status: 400 });
  }
  try {
    const body = request.body ?? [];
    const { bytes } = await new AtomicFile(`${directory}/${name}`, { signal: request.signal })
      .stream(body);
    return new Response(`${bytes}\n`, { status: 201 });
  } catch (error) {
    return new Response(`${error instanceof Error ? error.message : error}\n`, { status: 500 });
  }
}

interface Serving {
  readonly Deno?: {
    serve(
      options: { hostname: string; port: number; onListen(at: { port: number }): void },
      handler: typeof keep,
    ): unknown;
  };
  readonly Bun?: {
    serve(options: { hostname: string; port: number; fetch: typeof keep }): { port: number };
  };
}

const { Deno: deno, Bun: bun } = globalThis as Serving;
const hostname = "127.0.0.1";
if (deno !== undefined) {
  deno.serve({ hostname, port: 0, onListen: ({ port }) => console.log(port) }, keep);
} else if (bun !== undefined) {
  console.log(bun.serve({ hostname, port: 0, fetch: keep }).port);
} else {
  console.error("This example is for Deno and Bun");
}
