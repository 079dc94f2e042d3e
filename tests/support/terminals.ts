import { AtomicFile, type AtomicWriteOptions, type Receipt } from "@crashsafe/fs";
import { writeFileSync } from "node:fs";

/** One way to publish the same content, for tests that must hold for all of them. */
export interface Terminal {
  readonly name: string;
  run(
    target: string,
    content: string,
    options: AtomicWriteOptions,
    inputs: string,
  ): Promise<Receipt>;
}

type Run = (file: AtomicFile, content: string, input: string) => Receipt | Promise<Receipt>;

function terminal(name: string, publish: Run): Terminal {
  return {
    name,
    async run(target, content, options, inputs) {
      const input = `${inputs}/input-${name}`;
      writeFileSync(input, content);
      return await publish(new AtomicFile(target, options), content, input);
    },
  };
}

function halves(content: string): [string, string] {
  const middle = content.length >> 1;
  return [content.slice(0, middle), content.slice(middle)];
}

/** Every terminal, each with its synchronous twin. */
export const terminals: readonly Terminal[] = [
  terminal("write", (file, content) => file.write(content)),
  terminal("writeSync", (file, content) => file.writeSync(content)),
  terminal("copyFrom", (file, _, input) => file.copyFrom(input)),
  terminal("copyFromSync", (file, _, input) => file.copyFromSync(input)),
  terminal("concatFrom", (file, _, input) => file.concatFrom([input])),
  terminal("concatFromSync", (file, _, input) => file.concatFromSync([input])),
  terminal("writeWith", (file, content) =>
    file.writeWith(async (sink) => {
      for (const half of halves(content)) await sink.write(half);
    })),
  terminal("writeWithSync", (file, content) =>
    file.writeWithSync((sink) => {
      for (const half of halves(content)) sink.write(half);
    })),
  terminal("stream", (file, content) => file.stream(halves(content))),
  terminal("streamSync", (file, content) => file.streamSync(halves(content))),
  terminal("writable", async (file, content) => {
    const { writable, receipt } = file.writable();
    await new Blob(halves(content)).stream().pipeTo(writable);
    return await receipt;
  }),
];
