import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { createReadStream, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { xxhash128 } from "hash-wasm";
import { AtomicFile, type Progress, type StreamData } from "@crashsafe/fs";
import { withTempDir } from "../support/temp_dir.ts";

const LARGE = new Uint8Array(3_500_000).map((_, index) => index * 31);

/** What went wrong unseen while these tests ran. */
const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

async function* chunks(...parts: readonly unknown[]): AsyncGenerator<unknown> {
  for (const part of parts) yield await Promise.resolve(part);
}

describe("stream publishes", () => {
  const SOURCES: readonly (readonly [string, () => StreamData, Uint8Array | string])[] = [
    ["an array of chunks", () => ["a", new Uint8Array([98]), new Uint8Array([99]).buffer], "abc"],
    ["nothing at all", () => [], ""],
    ["an async iterable", () => chunks("a", LARGE, ""), Buffer.concat([Buffer.from("a"), LARGE])],
    ["a ReadableStream", () => new Blob([LARGE]).stream(), LARGE],
    ["a Blob", () => new Blob(["blob", LARGE]), Buffer.concat([Buffer.from("blob"), LARGE])],
    ["a Response", () => new Response(LARGE), LARGE],
    ["a Response without a body", () => new Response(null), ""],
    ["a Readable of Node", () => Readable.from([Buffer.from("node"), "js"]), "nodejs"],
    [
      "thousands of tiny chunks",
      () => Array.from({ length: 200_000 }, () => "x"),
      "x".repeat(200_000),
    ],
  ];
  for (const [name, source, wanted] of SOURCES) {
    test(name, () =>
      withTempDir(async (dir) => {
        const content = Buffer.from(wanted);
        const hash = await xxhash128(content);
        const receipt = await new AtomicFile(`${dir}/made/a`, { hash, mtime: 1000 }).stream(
          source(),
        );
        assert.equal(receipt.bytes, content.length);
        assert.equal(receipt.mtimeNs, 1_000_000_000n);
        assert.ok(content.equals(readFileSync(`${dir}/made/a`)));
      }));
  }

  test("a file stream of Node, and what a producer reuses its buffer for", () =>
    withTempDir(async (dir) => {
      writeFileSync(`${dir}/source`, LARGE);
      await new AtomicFile(`${dir}/a`).stream(createReadStream(`${dir}/source`));
      assert.ok(Buffer.from(LARGE).equals(readFileSync(`${dir}/a`)));
      const buffer = new Uint8Array(400_000);
      async function* reusing(): AsyncGenerator<Uint8Array> {
        for (let round = 0; round < 10; round++) yield await Promise.resolve(buffer.fill(round));
      }
      await new AtomicFile(`${dir}/a`).stream(reusing());
      const found = readFileSync(`${dir}/a`);
      for (let round = 0; round < 10; round++) {
        assert.ok(
          found.subarray(round * 400_000, (round + 1) * 400_000).every((byte) => byte === round),
        );
      }
    }));

  test("streamSync takes the same chunks from an iterable", () =>
    withTempDir((dir) => {
      new AtomicFile(`${dir}/a`).streamSync(["a", LARGE, "z"]);
      const found = readFileSync(`${dir}/a`);
      assert.equal(found.length, LARGE.length + 2);
      assert.ok(found.subarray(1, -1).equals(LARGE));
    }));
});

describe("stream keeps the old file", () => {
  async function refuses(
    source: StreamData,
    wanted: Parameters<typeof assert.rejects>[1],
    signal?: AbortSignal,
  ): Promise<void> {
    await withTempDir(async (dir) => {
      writeFileSync(`${dir}/a`, "old");
      const file = new AtomicFile(`${dir}/a`, signal === undefined ? {} : { signal });
      await assert.rejects(file.stream(source), wanted as Error);
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "old");
      assert.deepEqual(readdirSync(dir), ["a"]);
    });
  }

  test("when the source throws after some bytes", async () => {
    const boom = new Error("boom");
    const wanted = { code: "SourceFailed", cause: boom };
    async function* failing(): AsyncGenerator<unknown> {
      yield LARGE;
      await Promise.resolve();
      throw boom;
    }
    await refuses(failing(), wanted);
    await refuses(
      new ReadableStream({
        pull(controller) {
          controller.enqueue("half");
          controller.error(boom);
        },
      }),
      wanted,
    );
    await refuses(Readable.from(failing()), wanted);
    await withTempDir((dir) => {
      function* failingSync(): Generator<string> {
        yield "half";
        throw boom;
      }
      assert.throws(() => new AtomicFile(`${dir}/a`).streamSync(failingSync()), wanted);
      assert.deepEqual(readdirSync(dir), []);
    });
  });

  test("when something else than bytes or strings comes, and cancels the source", async () => {
    let ended = false;
    function* numbers(): Generator<unknown> {
      try {
        yield 5;
      } finally {
        ended = true;
      }
    }
    await refuses(numbers(), {
      name: "TypeError",
      message: "A source yielded number, wanted bytes or strings",
    });
    assert.ok(ended);
    await refuses(chunks({}), { message: "A source yielded Object, wanted bytes or strings" });
    await refuses(chunks(undefined), TypeError);
    await refuses(chunks(null), TypeError);
    await refuses("text" as unknown as StreamData, TypeError);
    await refuses(new Uint8Array(3) as unknown as StreamData, TypeError);
    await refuses(5 as unknown as StreamData, TypeError);
  });

  test("when a Response has a bad status, before anything is touched", () =>
    withTempDir(async (dir) => {
      let cancelled = false;
      const body = new ReadableStream({
        cancel() {
          cancelled = true;
        },
      });
      await assert.rejects(
        new AtomicFile(`${dir}/made/a`).stream(
          new Response(body, { status: 404, statusText: "Not Found" }),
        ),
        {
          code: "BadResponse",
          message: /has status 404 Not Found, wanted a success, nothing was touched$/,
        },
      );
      assert.deepEqual(readdirSync(dir), []);
      assert.ok(cancelled);
    }));

  test("when a Response is read already, or shorter than it said", async () => {
    const read = new Response("x");
    await read.text();
    await refuses(read, TypeError);
    await refuses(new Response("four", { headers: { "content-length": "5" } }), {
      code: "UnexpectedEnd",
      message: /ended after 4 bytes, 5 were announced, nothing was published$/,
    });
  });

  test("when it is aborted while the source stalls, which hears the reason", async () => {
    for (const kind of ["stream", "iterator"] as const) {
      const reason = new Error("enough");
      const abort = new AbortController();
      let heard: unknown;
      const stalled: StreamData = kind === "stream"
        ? new ReadableStream({
          pull: () => {
            abort.abort(reason);
            return new Promise(() => {});
          },
          cancel: (why) => {
            heard = why;
          },
        })
        : {
          [Symbol.asyncIterator]: () => ({
            next: () => {
              abort.abort(reason);
              return new Promise<IteratorResult<unknown>>(() => {});
            },
            return: () => {
              heard = reason;
              return Promise.resolve({ done: true, value: undefined });
            },
          }),
        };
      await refuses(stalled, (error: unknown) => error === reason, abort.signal);
      assert.equal(heard, reason);
    }
  });

  test("when it is aborted before its turn: the source is cancelled unread", async () => {
    let heard: unknown;
    const source = new ReadableStream({
      cancel: (why) => {
        heard = why;
      },
    });
    const reason = new Error("early");
    await refuses(source, (error: unknown) => error === reason, AbortSignal.abort(reason));
    assert.equal(heard, reason);
  });

  test("when the digest is another, or a directory is in the way", () =>
    withTempDir(async (dir) => {
      const hash = "99aa06d3014798d86001c324468d497f";
      await assert.rejects(new AtomicFile(`${dir}/a`, { hash }).stream(["x"]), {
        code: "HashMismatch",
      });
      let cancelled = false;
      const source = new ReadableStream({
        cancel: () => {
          cancelled = true;
        },
      });
      await assert.rejects(new AtomicFile(dir).stream(source), { code: "EISDIR" });
      assert.ok(cancelled);
      assert.deepEqual(readdirSync(dir), []);
    }));
});

describe("writable", () => {
  test("publishes at its close, verified and with its time", () =>
    withTempDir(async (dir) => {
      const hash = await xxhash128(LARGE);
      const { writable, receipt } = new AtomicFile(`${dir}/a`, { hash, mtime: 5000 }).writable();
      const writer = writable.getWriter();
      await writer.write(LARGE.subarray(0, 1_000_000));
      assert.ok(!readdirSync(dir).includes("a"));
      await writer.write(LARGE.subarray(1_000_000));
      await writer.close();
      assert.equal((await receipt).hash, hash);
      assert.ok(Buffer.from(LARGE).equals(readFileSync(`${dir}/a`)));
    }));

  test("takes a compressing pipeline", () =>
    withTempDir(async (dir) => {
      const { writable } = new AtomicFile(`${dir}/a.gz`).writable();
      await new Blob([LARGE]).stream().pipeThrough(new CompressionStream("gzip")).pipeTo(writable);
      assert.ok(gunzipSync(readFileSync(`${dir}/a.gz`)).equals(LARGE));
    }));

  test("publishes nothing when the pipe breaks or is aborted", () =>
    withTempDir(async (dir) => {
      const boom = new Error("boom");
      const broken = new AtomicFile(`${dir}/a`).writable();
      const source = new ReadableStream({
        start(controller) {
          controller.enqueue("half");
        },
        pull(controller) {
          controller.error(boom);
        },
      });
      await assert.rejects(source.pipeTo(broken.writable), (error) => error === boom);
      await assert.rejects(broken.receipt, (error) => error === boom);
      const aborted = new AtomicFile(`${dir}/a`).writable();
      const writer = aborted.writable.getWriter();
      await writer.write("half");
      await writer.abort(boom);
      await assert.rejects(aborted.receipt, (error) => error === boom);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("tells its writer why a publish failed", () =>
    withTempDir(async (dir) => {
      const refused = new AtomicFile(dir).writable();
      await assert.rejects(new Blob(["x"]).stream().pipeTo(refused.writable), { code: "EISDIR" });
      const mismatch = new AtomicFile(`${dir}/a`, { hash: "00".repeat(16) }).writable();
      await assert.rejects(new Blob(["x"]).stream().pipeTo(mismatch.writable), {
        code: "HashMismatch",
      });
      const bad = new AtomicFile(`${dir}/a`).writable();
      await assert.rejects(bad.writable.getWriter().write(5), TypeError);
      await assert.rejects(bad.receipt, TypeError);
      assert.deepEqual(readdirSync(dir), []);
    }));

  test("ends with its signal", () =>
    withTempDir(async (dir) => {
      const abort = new AbortController();
      const reason = new Error("over");
      const { writable, receipt } = new AtomicFile(`${dir}/a`, { signal: abort.signal }).writable();
      const writer = writable.getWriter();
      await writer.write("half");
      abort.abort(reason);
      await assert.rejects(receipt, (error) => error === reason);
      await assert.rejects(writer.close());
      await writer.closed.catch(() => {});
      assert.deepEqual(readdirSync(dir), []);
    }));
});

test("onProgress tells bytes and total, not too often, and ends with all of them", () =>
  withTempDir(async (dir) => {
    const told: Progress[] = [];
    const file = new AtomicFile(`${dir}/a`, { onProgress: (one) => told.push(one) });
    await file.stream(Array.from({ length: 20_000 }, () => new Uint8Array(100)));
    assert.deepEqual(told.at(-1), { bytes: 2_000_000 });
    assert.ok(told.length < 100, `${told.length} calls`);
    await file.stream(new Blob([LARGE]));
    assert.deepEqual(told.at(-1), { bytes: LARGE.length, total: LARGE.length });
    file.writeSync("abc");
    assert.deepEqual(told.at(-1), { bytes: 3, total: 3 });
    const failing = new AtomicFile(`${dir}/b`, {
      onProgress: () => {
        throw new Error("no more");
      },
    });
    await assert.rejects(failing.write("x"), { code: "SourceFailed" });
    assert.deepEqual(readdirSync(dir), ["a"]);
  }));

test("a download that is cut off in the middle leaves the old file, a whole one replaces it", () =>
  withTempDir(async (dir) => {
    const server = createServer((request, response) => {
      response.writeHead(200, { "content-length": LARGE.length });
      if (request.url === "/whole") response.end(LARGE);
      else response.write(LARGE.subarray(0, 1_000_000), () => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const file = new AtomicFile(`${dir}/a`, { hash: await xxhash128(LARGE) });
      writeFileSync(`${dir}/a`, "old");
      await assert.rejects(async () => await file.stream(await fetch(`${url}/half`)), {
        name: "PublishError",
      });
      assert.equal(readFileSync(`${dir}/a`, "utf8"), "old");
      assert.deepEqual(readdirSync(dir), ["a"]);
      await file.stream(await fetch(`${url}/whole`));
      assert.ok(Buffer.from(LARGE).equals(readFileSync(`${dir}/a`)));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }));

test("no rejection went unhandled", async () => {
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});
