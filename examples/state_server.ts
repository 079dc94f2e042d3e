// A server that keeps its state in a file: `state_server FILE`. Each request adds one; an answer means that it is on the disk.
// However many come at once, at most two writes are on their way. It ends by SIGTERM and leaves no temporary file.

import { atomicWrite, installSignalHandlers } from "@crashsafe/fs";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: state_server FILE");

installSignalHandlers("delete-and-restore-default");
const state = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { visits: 0 };

const server = createServer(async (_, response) => {
  const visit = ++state.visits;
  try {
    await atomicWrite(file, JSON.stringify(state), { coalesce: true });
    response.end(`${visit}\n`);
  } catch (error) {
    response.writeHead(500).end(`${error}\n`);
  }
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
