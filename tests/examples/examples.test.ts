import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import process from "node:process";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { projectFile, runProgram, startProgram } from "../support/programs.ts";
import { command, skip } from "../support/root.ts";
import { runtime } from "../support/runtime.ts";
import { withTempDir } from "../support/temp_dir.ts";

const BODY = Buffer.from("a body of some length\n".repeat(50_000));

async function serving(
  answer: (response: ServerResponse) => void,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((_, response) => answer(response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("the example of a verified download publishes the promised file only", () =>
  withTempDir(async (dir) => {
    const sha = createHash("sha256").update(BODY).digest("hex");
    writeFileSync(`${dir}/file`, "old");
    const download = (url: string, digest: string): ReturnType<typeof runProgram> =>
      runProgram("examples/verified_download", { args: [url, digest, `${dir}/file`] });

    await serving((response) => {
      response.writeHead(200, { "content-length": BODY.length });
      response.write(BODY.subarray(0, 300_000), () => response.destroy());
    }, async (url) => {
      assert.equal((await download(url, sha)).code, 1);
    });
    await serving((response) => response.writeHead(500).end("broken"), async (url) => {
      const { code, stderr } = await download(url, sha);
      assert.equal(code, 1);
      assert.match(stderr, /has status 500/);
    });
    await serving((response) => response.end(BODY), async (url) => {
      assert.match((await download(url, "00".repeat(32))).stderr, /nothing was published/);
      assert.equal(readFileSync(`${dir}/file`, "utf8"), "old");
      const { stdout, stderr } = await download(url, sha);
      assert.match(stdout, /verified/, stderr);
    });
    assert.ok(BODY.equals(readFileSync(`${dir}/file`)));
    assert.deepEqual(readdirSync(dir), ["file"]);
  }));

test("the example of a compressing pipeline publishes a whole .gz", () =>
  withTempDir(async (dir) => {
    writeFileSync(`${dir}/file`, BODY);
    const { code, stderr } = await runProgram("examples/compress", { args: [`${dir}/file`] });
    assert.equal(code, 0, stderr);
    assert.ok(gunzipSync(readFileSync(`${dir}/file.gz`)).equals(BODY));
  }));

if (runtime === "bun" && projectFile("examples/compress").endsWith(".ts")) {
  test("the example of a compressing pipeline works as one file that Bun has compiled", () =>
    withTempDir((dir) => {
      const program = projectFile("examples/compress");
      const args = ["build", "--compile", program, "--outfile", `${dir}/compress`];
      const build = spawnSync(process.execPath, args, { encoding: "utf8" });
      assert.equal(build.status, 0, build.stderr);
      writeFileSync(`${dir}/file`, BODY);
      const run = spawnSync(`${dir}/compress`, ["file"], { cwd: dir, encoding: "utf8" });
      assert.equal(run.status, 0, run.stderr);
      assert.ok(gunzipSync(readFileSync(`${dir}/file.gz`)).equals(BODY));
    }));
}

test("the example of Node's streams sorts a file in place", () =>
  withTempDir(async (dir) => {
    writeFileSync(`${dir}/file`, "b\nc\na\n");
    const { code, stderr } = await runProgram("examples/sorted_lines", { args: [`${dir}/file`] });
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(`${dir}/file`, "utf8"), "a\nb\nc\n");
  }));

if (runtime !== "node") {
  test("the example of a server keeps uploads whole, and nothing of one that breaks off", () =>
    withTempDir(async (dir) => {
      const { child, outcome } = startProgram("examples/upload_server", { args: [dir] });
      try {
        const [line] = await once(child.stdout ?? assert.fail(), "data");
        const url = `http://127.0.0.1:${String(line).trim()}/upload`;
        const answer = await fetch(url, { method: "PUT", body: BODY });
        assert.deepEqual([answer.status, await answer.text()], [201, `${BODY.length}\n`]);
        assert.ok(BODY.equals(readFileSync(`${dir}/upload`)));
        const abort = new AbortController();
        const broken = new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array(100_000));
          },
          pull() {
            abort.abort();
            return new Promise(() => {});
          },
        });
        const request = { method: "PUT", body: broken, duplex: "half", signal: abort.signal };
        await assert.rejects(fetch(url, request as RequestInit));
        const last = await fetch(url, { method: "PUT", body: "last" });
        assert.equal(last.status, 201);
        assert.equal(readFileSync(`${dir}/upload`, "utf8"), "last");
      } finally {
        child.kill("SIGKILL");
        await outcome;
      }
    }));
}

test("the example of a build writes all pages, and sweeps what a killed one left", () =>
  withTempDir(async (dir) => {
    writeFileSync(`${dir}/.7.html.abcdefghijklmnopqrstuvwx27.cs1l`, "half");
    const { stdout, stderr } = await runProgram("examples/site_build", { args: [dir, "600"] });
    assert.match(stdout, /^600 pages in 2 batches, [01] orphans removed$/m, stderr);
    assert.equal(readFileSync(`${dir}/599.html`, "utf8"), "<h1>Page 599</h1>\n");
    assert.equal(readdirSync(dir).filter((name) => name.endsWith(".html")).length, 600);
  }));

test("the example of a store adds and removes whole layers, and recovers", () =>
  withTempDir(async (dir) => {
    const store = (...args: readonly string[]): ReturnType<typeof runProgram> =>
      runProgram("examples/layer_store", { args: [dir, ...args] });
    assert.equal((await store("add", "base", "hello")).stderr, "");
    assert.equal(readFileSync(`${dir}/layers/base/size`, "utf8"), "5\n");
    assert.match((await store("add", "base", "again")).stderr, /EEXIST/);
    mkdirSync(`${dir}/tmp/temp-dir-${"a".repeat(26)}/0-old`, { recursive: true });
    assert.equal((await store("remove", "base")).stderr, "");
    assert.deepEqual(readdirSync(`${dir}/layers`), []);
    assert.deepEqual(readdirSync(`${dir}/tmp`), []);
  }));

test("the example of a server has what it answered on the disk, and ends by a signal", () =>
  withTempDir(async (dir) => {
    const { child, outcome } = startProgram("examples/state_server", {
      args: [`${dir}/state.json`],
    });
    const [line] = await once(child.stdout ?? assert.fail(), "data");
    const url = `http://127.0.0.1:${String(line).trim()}/`;
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => Number(await (await fetch(url)).text())),
    );
    assert.equal(Math.max(...answers), 50);
    assert.equal(readFileSync(`${dir}/state.json`, "utf8"), '{"visits":50}');
    process.kill(child.pid as number, "SIGTERM");
    assert.equal((await outcome).signal, "SIGTERM");
    assert.deepEqual(readdirSync(dir), ["state.json"]);
  }));

test("the example of a shared counter counts together with a shell script", (t) =>
  withTempDir(async (dir) => {
    if (!command("flock", ["--version"])) return skip(t, "flock(1) is not installed");
    const file = `${dir}/counter`;
    const script = `for i in 1 2 3 4 5; do
      flock "$1.lock" sh -c 'n=$(cat "$1" 2>/dev/null || echo 0); echo $((n + 1)) > "$1"' sh "$1"
    done`;
    const shell = startForeignScript(script, file);
    const runs = Array.from(
      { length: 5 },
      () => runProgram("examples/shared_counter", { args: [file] }),
    );
    for (const { stderr } of await Promise.all(runs)) assert.equal(stderr, "");
    assert.equal(await shell, 0);
    assert.equal(readFileSync(file, "utf8"), "10\n");
  }));

function startForeignScript(script: string, file: string): Promise<number | null> {
  const child = spawn("sh", ["-c", script, "sh", file], { stdio: "inherit" });
  return new Promise((resolve) => child.on("close", resolve));
}
